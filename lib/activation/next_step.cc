#include "activation/next_step.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sb::activation {
namespace {

using Kind = Step::Kind;
using Pointer = Observed::Pointer;

Step roll_back(std::string cause) {
  return {.kind = Kind::roll_back, .until_ms = 0, .cause = std::move(cause)};
}

// Nothing was pointed at the new version: the old one is live, whatever was started.
Step redo(const JournalState& journal) {
  if (journal.attempts < kMaxAttempts) return {.kind = Kind::redo_swap};
  return {.kind = Kind::give_up, .until_ms = 0, .cause = "the conductor died in every attempt to swap"};
}

// A verdict needs somebody who watched: time in which there was no conductor does not count as probation.
Step verify(const JournalState& journal, const Observed& observed) {
  if (!observed.new_runs) return roll_back("it ended while the conductor was away");
  // Nobody died: its probation starts again with it.
  if (observed.paused) return {.kind = Kind::verify, .until_ms = observed.now_ms + observed.probation_ms};
  // Who is paused has its probation before it when it is resumed.
  const bool watched_before = journal.last == history::Step::verifying && !journal.paused;
  if (watched_before && observed.now_ms <= journal.deadline_ms) {
    return {.kind = Kind::verify, .until_ms = journal.deadline_ms};
  }
  if (watched_before && journal.verifications >= kMaxVerifications) {
    return roll_back("no verdict by the deadline: the conductor died in every probation");
  }
  return {.kind = Kind::verify, .until_ms = observed.now_ms + observed.probation_ms};
}

// The same for a version whose predecessor can be gone back to at once.
Step bake(const JournalState& journal, const Observed& observed) {
  if (!observed.new_runs || observed.paused || !observed.old_rests) return verify(journal, observed);
  const bool in_time = observed.now_ms <= journal.deadline_ms && !journal.paused;
  return {.kind = Kind::bake, .until_ms = in_time ? journal.deadline_ms : observed.now_ms + observed.bake_ms};
}

}  // namespace

JournalState read_journal(history::CycleKind kind, const std::vector<history::JournalRecord>& journal) {
  JournalState state;
  state.kind = kind;
  for (const history::JournalRecord& record : journal) {
    if (record.step == history::Step::paused || record.step == history::Step::resumed) {
      state.paused = record.step == history::Step::paused;
      continue;
    }
    state.last = record.step;
    const Json detail = parse_json(record.detail).value_or(Json::object());
    if (record.step == history::Step::swapping) ++state.attempts;
    if (record.step == history::Step::verifying) {
      ++state.verifications;
      state.deadline_ms = json_integer_or(detail, "deadline_ms", 0).value_or(0);
    }
    if (record.step == history::Step::baking)
      state.deadline_ms = json_integer_or(detail, "deadline_ms", 0).value_or(0);
    if (record.step == history::Step::canary)
      state.canary_step = static_cast<int>(json_integer_or(detail, "step", 0).value_or(0));
    if (record.step == history::Step::rolling_back) {
      state.cause = json_string_or(detail, "cause", "").value_or("");
      state.aborted = json_bool_or(detail, "aborted", false).value_or(false);
    }
  }
  return state;
}

std::string_view to_string(Step::Kind kind) {
  switch (kind) {
    case Kind::nothing:
      return "nothing";
    case Kind::give_up:
      return "give_up";
    case Kind::redo_swap:
      return "redo_swap";
    case Kind::canary:
      return "canary";
    case Kind::bake:
      return "bake";
    case Kind::verify:
      return "verify";
    case Kind::roll_back:
      return "roll_back";
    case Kind::close:
      return "close";
  }
  return "nothing";
}

Step next_step(const JournalState& journal, const Observed& observed) {
  if (!journal.last) return {};
  const bool ours = journal.kind != history::CycleKind::update;  // no worker will close it
  switch (*journal.last) {
    case history::Step::planned:
      // Whoever asked was told nothing yet, so nothing is owed.
      return ours ? Step{.kind = Kind::give_up,
                         .until_ms = 0,
                         .cause = "the conductor died before the swap began"}
                  : Step{};
    case history::Step::swapping:
    case history::Step::started:
      // Trust the pointer: it may have moved without its record.
      if (observed.pointer != Pointer::after || (observed.same && (!observed.new_runs || observed.paused)))
        return redo(journal);
      return verify(journal, observed);
    case history::Step::canary:
      // The pointer may have moved without its record here, too.
      if (observed.pointer == Pointer::after && !observed.same) return verify(journal, observed);
      return observed.new_runs ? Step{.kind = Kind::canary} : redo(journal);
    case history::Step::pointed:
    case history::Step::baking:
    case history::Step::committed:
    case history::Step::verifying:
      if (observed.pointer != Pointer::after) {
        return roll_back("the pointer was moved by somebody else");
      }
      return journal.last == history::Step::baking ? bake(journal, observed) : verify(journal, observed);
    case history::Step::rolling_back:
      return roll_back(journal.cause);
    case history::Step::kept:
    case history::Step::rolled_back:
    case history::Step::failed:
      return ours ? Step{.kind = Kind::close} : Step{};
    default:
      return {};  // selfbuild's steps, and `done`
  }
}

}  // namespace sb::activation
