// Cycles and their journal: what is recorded, by whom, and who may no longer.
#include <gmock/gmock.h>

#include "unit/history/history_test.h"

namespace sb::history {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CyclesTest : public HistoryTest {
 protected:
  std::int64_t begin(const Cycle& cycle) {
    const Result<std::int64_t> id = history().begin_cycle(cycle, "{}");
    EXPECT_TRUE(id.has_value()) << format_error(id.error());
    return id.value_or(0);
  }
  std::vector<Step> steps(std::int64_t cycle) {
    std::vector<Step> steps;
    for (const JournalRecord& record : history().journal(cycle).value_or(std::vector<JournalRecord>())) {
      steps.push_back(record.step);
    }
    return steps;
  }
  static std::vector<std::int64_t> ids(const std::vector<Cycle>& cycles) {
    std::vector<std::int64_t> ids;
    ids.reserve(cycles.size());
    for (const Cycle& cycle : cycles) ids.push_back(cycle.id);
    return ids;
  }
};

TEST_F(CyclesTest, cycle_begins_queued_with_its_planned_record) {
  Cycle asked = update_of("demo");
  asked.kind = CycleKind::rollback;
  asked.from_version = 4;
  ASSERT_OK(const std::int64_t id, history().begin_cycle(asked, R"({"from":4})"));
  EXPECT_EQ(id, 1);
  ASSERT_OK(const Cycle cycle, history().cycle(id));
  EXPECT_EQ(cycle.id, 1);
  EXPECT_EQ(cycle.project, "demo");
  EXPECT_EQ(cycle.kind, CycleKind::rollback);
  EXPECT_EQ(cycle.improvement_plan, asked.improvement_plan);
  EXPECT_EQ(cycle.status, BuildStatus::queued);
  EXPECT_EQ(cycle.version, std::nullopt);
  EXPECT_EQ(cycle.from_version, 4);
  EXPECT_EQ(cycle.commit, "c0ffee");
  EXPECT_EQ(cycle.started_ms, 1000);
  EXPECT_EQ(cycle.completed_ms, std::nullopt);
  EXPECT_EQ(cycle.triggered_by, "cli:alice");
  ASSERT_OK(const auto journal, history().journal(id));
  ASSERT_EQ(journal.size(), 1U);
  EXPECT_EQ(journal[0].cycle, id);
  EXPECT_EQ(journal[0].step, Step::planned);
  EXPECT_EQ(journal[0].at_ms, 1000);
  EXPECT_EQ(journal[0].detail, R"({"from":4})");
}

TEST_F(CyclesTest, what_is_done_alongside_a_new_cycle_is_part_of_it) {
  ASSERT_GOOD(history().database().execute("CREATE TABLE extra(cycle)"));
  const auto add_extra = [&](std::int64_t id) -> Status {
    SB_TRY(sqlite::Statement insert, history().database().prepare("INSERT INTO extra VALUES(?1)"));
    return insert.bind(1, id).run();
  };
  ASSERT_OK(const std::int64_t id, history().begin_cycle(update_of("demo"), "{}", add_extra));
  EXPECT_EQ(id, 1);
  EXPECT_EQ(count("extra"), 1);

  const auto add_extra_and_fail = [&](std::int64_t cycle) -> Status {
    SB_CHECK(add_extra(cycle));
    return fail(ErrorKind::refused, "the queue is full");
  };
  EXPECT_ERROR(ErrorKind::refused, history().begin_cycle(update_of("demo"), "{}", add_extra_and_fail));
  EXPECT_EQ(count("extra"), 1);
  EXPECT_EQ(count("build_history"), 1);
  EXPECT_EQ(count("journal"), 1);
  EXPECT_EQ(begin(update_of("demo")), 2) << "an attempt that failed leaves no gap";
}

TEST_F(CyclesTest, append_records_and_changes_the_row_together) {
  const std::int64_t id = begin(update_of("demo"));
  clock_.now = 2000;
  History::Change change;
  change.status = BuildStatus::testing;
  change.version = 7;
  change.test_results = "412 passed";
  ASSERT_OK(const std::int64_t seq, history().append(id, Step::tested, R"({"passed":412})", change, 0));
  EXPECT_EQ(seq, 2);
  ASSERT_OK(const Cycle cycle, history().cycle(id));
  EXPECT_EQ(cycle.status, BuildStatus::testing);
  EXPECT_EQ(cycle.version, 7);
  EXPECT_EQ(cycle.test_results, "412 passed");
  EXPECT_EQ(cycle.commit, "c0ffee") << "what the change does not name stays";
  EXPECT_EQ(cycle.completed_ms, std::nullopt);
  ASSERT_OK(const auto last, history().last_record(id));
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->seq, seq);
  EXPECT_EQ(last->step, Step::tested);
  EXPECT_EQ(last->at_ms, 2000);
  EXPECT_EQ(last->detail, R"({"passed":412})");
}

TEST_F(CyclesTest, every_field_of_a_change_arrives_and_an_empty_change_changes_nothing) {
  const std::int64_t id = begin(update_of("demo"));
  clock_.now = 3000;
  ASSERT_GOOD(history().append(id, Step::rolled_back, "{}",
                               {.status = BuildStatus::rolled_back,
                                .version = 2,
                                .commit = "beef",
                                .test_results = "t",
                                .health_check_result = "h",
                                .failure = "f",
                                .rollback_reason = "r",
                                .completed = true},
                               0));
  clock_.now = 4000;
  ASSERT_GOOD(history().append(id, Step::done, "{}", {}, 0));
  ASSERT_OK(const Cycle cycle, history().cycle(id));
  EXPECT_EQ(cycle.status, BuildStatus::rolled_back);
  EXPECT_EQ(cycle.version, 2);
  EXPECT_EQ(cycle.commit, "beef");
  EXPECT_EQ(cycle.test_results, "t");
  EXPECT_EQ(cycle.health_check_result, "h");
  EXPECT_EQ(cycle.failure, "f");
  EXPECT_EQ(cycle.rollback_reason, "r");
  EXPECT_EQ(cycle.completed_ms, 3000);
}

TEST_F(CyclesTest, every_step_comes_back_in_the_order_in_which_it_was_recorded) {
  const std::int64_t id = begin(update_of("demo"));
  const std::int64_t other = begin(update_of("demo"));
  std::vector<Step> expected = {Step::planned};
  for (int i = static_cast<int>(Step::staging); i <= static_cast<int>(Step::rolled_back); ++i) {
    expected.push_back(static_cast<Step>(i));
    ASSERT_GOOD(history().append(id, static_cast<Step>(i), "{}", {}, 0));
  }
  EXPECT_EQ(steps(id), expected);
  EXPECT_THAT(steps(other), ElementsAre(Step::planned));
}

TEST_F(CyclesTest, new_owner_shuts_the_old_one_out) {
  const std::int64_t id = begin(update_of("demo"));
  ASSERT_OK(const std::int64_t first, history().take_over(id));
  ASSERT_GOOD(history().append(id, Step::staging, "{}", {}, first));

  std::optional<History> other;
  open(other);
  ASSERT_OK(const std::int64_t second, other->take_over(id));
  EXPECT_GT(second, first);
  const auto late = history().append(id, Step::staged, "{}", {.status = BuildStatus::failed}, first);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().kind, ErrorKind::interrupted);
  EXPECT_THAT(one_line(late.error()),
              HasSubstr("cycle c-1 has a newer owner (while recording \"staged\" of cycle c-1)"));
  EXPECT_THAT(steps(id), ElementsAre(Step::planned, Step::staging));
  EXPECT_EQ(history().cycle(id)->status, BuildStatus::queued);

  ASSERT_GOOD(other->append(id, Step::staging, "{}", {}, second));
  EXPECT_THAT(steps(id), ElementsAre(Step::planned, Step::staging, Step::staging));
}

TEST_F(CyclesTest, conductor_is_never_shut_out) {
  const std::int64_t id = begin(update_of("demo"));
  ASSERT_GOOD(history().take_over(id));
  ASSERT_GOOD(history().take_over(id));
  ASSERT_GOOD(history().append(id, Step::swapping, "{}", {}, 0));
}

TEST_F(CyclesTest, owners_of_different_cycles_do_not_meet) {
  const std::int64_t one = begin(update_of("demo"));
  const std::int64_t two = begin(update_of("demo"));
  ASSERT_OK(const std::int64_t owner, history().take_over(one));
  ASSERT_GOOD(history().take_over(two));
  ASSERT_GOOD(history().take_over(two));
  ASSERT_GOOD(history().append(one, Step::staging, "{}", {}, owner));
  EXPECT_ERROR(ErrorKind::bug, history().append(one, Step::staged, "{}", {}, owner + 1));
}

TEST_F(CyclesTest, cycle_that_does_not_exist_is_not_found) {
  EXPECT_ERROR(ErrorKind::not_found, history().cycle(9));
  EXPECT_ERROR(ErrorKind::not_found, history().take_over(9));
  EXPECT_ERROR(ErrorKind::not_found, history().append(9, Step::done, "{}", {}, 0));
  EXPECT_EQ(count("journal"), 0);
  EXPECT_EQ(history().last_record(9)->has_value(), false);
  EXPECT_EQ(history().cycle(9).error().what, "there is no cycle c-9");
}

TEST_F(CyclesTest, lists_are_newest_first_of_one_project_or_all) {
  begin(update_of("a"));
  begin(update_of("b"));
  begin(update_of("a"));
  EXPECT_THAT(ids(history().cycles("a").value()), ElementsAre(3, 1));
  EXPECT_THAT(ids(history().cycles("").value()), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids(history().cycles("", 2).value()), ElementsAre(3, 2));
  EXPECT_THAT(ids(history().cycles("none").value()), IsEmpty());
}

TEST_F(CyclesTest, unfinished_is_whatever_has_no_done_record) {
  const std::int64_t one = begin(update_of("a"));
  const std::int64_t two = begin(update_of("b"));
  const std::int64_t three = begin(update_of("a"));
  ASSERT_GOOD(
      history().append(two, Step::failed, "{}", {.status = BuildStatus::failed, .completed = true}, 0));
  ASSERT_GOOD(history().append(two, Step::done, "{}", {}, 0));
  ASSERT_GOOD(
      history().append(three, Step::failed, "{}", {.status = BuildStatus::failed, .completed = true}, 0));
  EXPECT_THAT(ids(history().unfinished().value()), ElementsAre(one, three));
}

TEST_F(CyclesTest, result_for_a_commit_is_the_newest_ended_update_without_a_patch) {
  const auto end = [&](Cycle cycle, std::optional<BuildStatus> status) {
    const std::int64_t id = begin(cycle);
    if (status) {
      EXPECT_TRUE(history().append(id, Step::done, "{}", {.status = status}, 0).has_value());
    }
    return id;
  };
  EXPECT_EQ(history().result_for_commit("demo", "c0ffee")->has_value(), false);
  end(update_of("demo"), BuildStatus::failed);
  const std::int64_t newest = end(update_of("demo"), BuildStatus::rolled_back);
  end(update_of("demo"), std::nullopt);                 // still queued
  end(update_of("demo"), BuildStatus::testing);         // still running
  end(update_of("other"), BuildStatus::completed);      // another project
  end(update_of("demo", "beef"), BuildStatus::failed);  // another commit
  Cycle patched = update_of("demo");
  patched.improvement_plan = R"({"patch":"06b05ab6733a618578af5f94892f3950-3"})";
  end(patched, BuildStatus::completed);
  Cycle promote = update_of("demo");
  promote.kind = CycleKind::promote;
  end(promote, BuildStatus::completed);

  ASSERT_OK(const auto found, history().result_for_commit("demo", "c0ffee"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, newest);
  EXPECT_EQ(found->status, BuildStatus::rolled_back);
}

TEST_F(CyclesTest, words_that_are_none_of_ours_are_corrupt) {
  const std::int64_t id = begin(update_of("demo"));
  ASSERT_GOOD(history().database().execute("UPDATE journal SET step='dreaming'"));
  const auto journal = history().journal(id);
  ASSERT_FALSE(journal.has_value());
  EXPECT_EQ(journal.error().kind, ErrorKind::corrupt);
  EXPECT_THAT(journal.error().what, HasSubstr("dreaming"));
  EXPECT_ERROR(ErrorKind::corrupt, history().last_record(id));
  ASSERT_GOOD(history().database().execute("UPDATE build_history SET build_status='sleeping'"));
  EXPECT_ERROR(ErrorKind::corrupt, history().cycle(id));
  EXPECT_ERROR(ErrorKind::corrupt, history().cycles(""));
  EXPECT_ERROR(ErrorKind::corrupt, history().unfinished());
}

TEST_F(CyclesTest, quotes_and_newlines_in_what_users_type_are_only_text) {
  Cycle cycle = update_of("demo'; DROP TABLE journal; --");
  cycle.triggered_by = "cli:o'neil\n";
  const std::int64_t id = begin(cycle);
  EXPECT_EQ(history().cycle(id)->project, cycle.project);
  EXPECT_EQ(history().cycle(id)->triggered_by, cycle.triggered_by);
  EXPECT_EQ(count("journal"), 1);
}

TEST_F(CyclesTest, history_of_a_newer_selfbuild_is_refused) {
  begin(update_of("demo"));
  ASSERT_GOOD(history().database().execute("UPDATE schema_version SET version=99 WHERE component='history'"));
  EXPECT_ERROR(ErrorKind::conflict, History::open(path_, clock_));
  EXPECT_EQ(count("build_history"), 1);
}

TEST_F(CyclesTest, table_has_the_columns_that_were_promised) {
  ASSERT_OK(sqlite::Statement columns,
            history().database().prepare("SELECT name FROM pragma_table_info('build_history')"));
  std::vector<std::string> names;
  while (columns.step() == true) names.push_back(columns.text(0));
  EXPECT_THAT(names, ::testing::IsSupersetOf({"id", "version", "improvement_plan", "build_status",
                                              "started_at", "completed_at", "test_results",
                                              "health_check_result", "rollback_reason", "triggered_by"}));
}

}  // namespace
}  // namespace sb::history
