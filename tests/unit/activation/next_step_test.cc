// Recovery as a table: what the journal says and what is there, and what follows.
#include "activation/next_step.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sb::activation {

void PrintTo(const Step& step, std::ostream* out) {
  *out << to_string(step.kind) << " until " << step.until_ms << " because \"" << step.cause << '"';
}

namespace {

using Journal = history::Step;
using Kind = Step::Kind;
using Pointer = Observed::Pointer;
using history::CycleKind;

constexpr std::int64_t kNow = 1'000'000;
constexpr std::int64_t kProbation = 10'000;
constexpr std::int64_t kBake = 60'000;
constexpr bool kRests = true;                    // the old version
constexpr std::int64_t kLater = kNow + 4'000;    // a deadline that has not passed
constexpr std::int64_t kEarlier = kNow - 4'000;  // one that has

struct Row {
  const char* name;
  JournalState journal;
  Pointer pointer;
  bool new_runs;
  Step expected;
  bool old_rests = false;
};

JournalState at(Journal last, int attempts = 1, int verifications = 0, std::int64_t deadline = 0) {
  return {.kind = CycleKind::update,
          .last = last,
          .attempts = attempts,
          .verifications = verifications,
          .deadline_ms = deadline,
          .cause = last == Journal::rolling_back ? "it died" : ""};
}
JournalState promote(Journal last) {
  JournalState state = at(last);
  state.kind = CycleKind::promote;
  return state;
}
JournalState canary_at(int step) {
  JournalState state = at(Journal::canary);
  state.canary_step = step;
  return state;
}
JournalState paused(JournalState state) {
  state.paused = true;
  return state;
}
Step bake_until(std::int64_t until) {
  return {.kind = Kind::bake, .until_ms = until};
}
Step verify_until(std::int64_t until) {
  return {.kind = Kind::verify, .until_ms = until};
}
Step roll_back(const std::string& cause) {
  return {.kind = Kind::roll_back, .until_ms = 0, .cause = cause};
}

TEST(NextStep, follows_the_table) {
  const std::string away = "it ended while the conductor was away";
  const std::vector<Row> table{
      {"nothing recorded", JournalState{}, Pointer::before, false, {}},
      {"an update that selfbuild still builds", at(Journal::building), Pointer::before, false, {}},
      {"an update that was not begun", at(Journal::planned, 0), Pointer::before, false, {}},
      {"rejected by selfbuild", at(Journal::rejected, 0), Pointer::before, false, {}},
      {"a promote that was not begun",
       promote(Journal::planned),
       Pointer::before,
       false,
       {.kind = Kind::give_up, .until_ms = 0, .cause = "the conductor died before the swap began"}},

      {"nothing was started", at(Journal::swapping), Pointer::before, false, {.kind = Kind::redo_swap}},
      {"some was started", at(Journal::swapping), Pointer::before, true, {.kind = Kind::redo_swap}},
      {"all was started", at(Journal::started), Pointer::before, true, {.kind = Kind::redo_swap}},
      {"all was started and died",
       at(Journal::started, 2),
       Pointer::before,
       false,
       {.kind = Kind::redo_swap}},
      {"the third attempt",
       at(Journal::started, 3),
       Pointer::before,
       true,
       {.kind = Kind::give_up, .until_ms = 0, .cause = "the conductor died in every attempt to swap"}},
      {"pointed, but not recorded", at(Journal::started), Pointer::after, true,
       verify_until(kNow + kProbation)},
      {"pointed, not recorded, and dead", at(Journal::started), Pointer::after, false, roll_back(away)},

      {"as a canary", canary_at(1), Pointer::before, true, {.kind = Kind::canary}},
      {"as a canary that died", canary_at(1), Pointer::before, false, {.kind = Kind::redo_swap}},
      {"as a canary for the third time",
       at(Journal::canary, 3),
       Pointer::before,
       false,
       {.kind = Kind::give_up, .until_ms = 0, .cause = "the conductor died in every attempt to swap"}},
      {"pointed after a canary, but not recorded", canary_at(1), Pointer::after, true,
       verify_until(kNow + kProbation)},
      {"pointed after a canary, not recorded, and dead", canary_at(1), Pointer::after, false,
       roll_back(away)},

      {"pointed", at(Journal::pointed), Pointer::after, true, verify_until(kNow + kProbation)},
      {"pointed and dead", at(Journal::pointed), Pointer::after, false, roll_back(away)},
      {"pointed, and moved by a person", at(Journal::pointed), Pointer::elsewhere, true,
       roll_back("the pointer was moved by somebody else")},

      {"in probation", at(Journal::verifying, 1, 1, kLater), Pointer::after, true, verify_until(kLater)},
      {"in probation and dead", at(Journal::verifying, 1, 1, kLater), Pointer::after, false, roll_back(away)},
      {"past the deadline, unwatched, and alive", at(Journal::verifying, 1, 1, kEarlier), Pointer::after,
       true, verify_until(kNow + kProbation)},
      {"past the deadline and dead", at(Journal::verifying, 1, 1, kEarlier), Pointer::after, false,
       roll_back(away)},
      {"past the third deadline", at(Journal::verifying, 1, 3, kEarlier), Pointer::after, true,
       roll_back("no verdict by the deadline: the conductor died in every probation")},

      {"baking", at(Journal::baking, 1, 0, kLater), Pointer::after, true, bake_until(kLater), kRests},
      {"baking, its time over, but nobody watched", at(Journal::baking, 1, 0, kEarlier), Pointer::after, true,
       bake_until(kNow + kBake), kRests},
      {"baking and dead", at(Journal::baking, 1, 0, kLater), Pointer::after, false, roll_back(away), kRests},
      {"baking, and the one to go back to is dead", at(Journal::baking, 1, 0, kLater), Pointer::after, true,
       verify_until(kNow + kProbation)},
      {"baking, and the pointer was moved", at(Journal::baking, 1, 0, kLater), Pointer::elsewhere, true,
       roll_back("the pointer was moved by somebody else"), kRests},
      {"baking, paused", paused(at(Journal::baking, 1, 0, kLater)), Pointer::after, true,
       bake_until(kNow + kBake), kRests},
      {"the old one let go", at(Journal::committed), Pointer::after, true, verify_until(kNow + kProbation),
       kRests},
      {"the old one let go, and dead", at(Journal::committed), Pointer::after, false, roll_back(away)},
      {"in probation, paused past its deadline", paused(at(Journal::verifying, 1, 3, kEarlier)),
       Pointer::after, true, verify_until(kNow + kProbation)},

      {"rolling back, pointer not moved yet", at(Journal::rolling_back), Pointer::after, false,
       roll_back("it died")},
      {"rolling back, pointer moved", at(Journal::rolling_back), Pointer::before, true, roll_back("it died")},

      {"an update that was kept", at(Journal::kept), Pointer::after, true, {}},
      {"an update that was rolled back", at(Journal::rolled_back), Pointer::before, false, {}},
      {"a promote that was kept", promote(Journal::kept), Pointer::after, true, {.kind = Kind::close}},
      {"a promote that was rolled back",
       promote(Journal::rolled_back),
       Pointer::before,
       false,
       {.kind = Kind::close}},
      {"a promote that failed", promote(Journal::failed), Pointer::before, false, {.kind = Kind::close}},
      {"a promote that is done", promote(Journal::done), Pointer::after, true, {}},
  };
  EXPECT_EQ(table.size(), 42U);
  for (const Row& row : table) {
    const Observed observed{.pointer = row.pointer,
                            .same = false,
                            .new_runs = row.new_runs,
                            .paused = false,
                            .now_ms = kNow,
                            .probation_ms = kProbation,
                            .old_rests = row.old_rests,
                            .bake_ms = kBake};
    EXPECT_EQ(next_step(row.journal, observed), row.expected) << row.name;
  }
}

TEST(NextStep, does_not_trust_a_pointer_that_was_there_before) {
  // v2 is promoted again because its service was down: the pointer named v2 all the time.
  const Observed observed{.pointer = Pointer::after,
                          .same = true,
                          .new_runs = false,
                          .paused = false,
                          .now_ms = kNow,
                          .probation_ms = kProbation};
  EXPECT_EQ(next_step(at(Journal::swapping), observed).kind, Kind::redo_swap);
}

TEST(NextStep, verifies_anew_what_was_stopped_together_with_the_conductor) {
  const Observed observed{.pointer = Pointer::after,
                          .same = false,
                          .new_runs = true,
                          .paused = true,
                          .now_ms = kNow,
                          .probation_ms = kProbation};
  for (const JournalState& journal :
       {at(Journal::pointed), at(Journal::verifying, 1, 1, kLater), at(Journal::verifying, 1, 3, kEarlier)}) {
    EXPECT_EQ(next_step(journal, observed), verify_until(kNow + kProbation));
  }
}

TEST(ReadJournal, knows_where_a_canary_was_and_that_it_was_paused) {
  const auto record = [](Journal step, const Json& detail) {
    return history::JournalRecord{
        .seq = 0, .cycle = 1, .step = step, .at_ms = 0, .detail = dump_json(detail)};
  };
  std::vector<history::JournalRecord> records{
      record(Journal::swapping, {}), record(Journal::canary, {{"step", 0}}),
      record(Journal::canary, {{"step", 1}}), record(Journal::paused, {{"by", "alice"}})};
  JournalState state = read_journal(CycleKind::promote, records);
  EXPECT_EQ(state.last, Journal::canary);
  EXPECT_EQ(state.canary_step, 1);
  EXPECT_TRUE(state.paused);
  records.push_back(record(Journal::resumed, {{"by", "alice"}}));
  state = read_journal(CycleKind::promote, records);
  EXPECT_EQ(state.last, Journal::canary);
  EXPECT_FALSE(state.paused);
}

TEST(ReadJournal, counts_attempts_and_takes_the_last_deadline_and_cause) {
  const auto record = [](Journal step, const Json& detail) {
    return history::JournalRecord{
        .seq = 0, .cycle = 1, .step = step, .at_ms = 0, .detail = dump_json(detail)};
  };
  const JournalState state = read_journal(
      CycleKind::update,
      {record(Journal::planned, {}), record(Journal::swapping, {}), record(Journal::swapping, {}),
       record(Journal::started, {}), record(Journal::pointed, {}),
       record(Journal::verifying, {{"deadline_ms", 5}}), record(Journal::verifying, {{"deadline_ms", 9}}),
       record(Journal::rolling_back, {{"cause", "it died"}})});
  EXPECT_EQ(state.last, Journal::rolling_back);
  EXPECT_EQ(state.attempts, 2);
  EXPECT_EQ(state.verifications, 2);
  EXPECT_EQ(state.deadline_ms, 9);
  EXPECT_EQ(state.cause, "it died");
}

}  // namespace
}  // namespace sb::activation
