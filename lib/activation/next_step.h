// Where a swap goes on after the conductor died in it: one pure function of what the journal says and what is
// there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "history/types.h"

namespace sb::activation {

inline constexpr int kMaxAttempts = 3;       // of a swap that a crash interrupts before the pointer moved
inline constexpr int kMaxVerifications = 3;  // of a probation that a crash interrupts past its deadline

// What the journal of one cycle says. `last` is the last record that is not about pausing.
struct JournalState {
  history::CycleKind kind = history::CycleKind::update;
  std::optional<history::Step> last{};
  int attempts = 0;              // `swapping` records
  int verifications = 0;         // `verifying` records
  std::int64_t deadline_ms = 0;  // of the last `verifying` or `baking` record
  int canary_step = 0;           // of the last `canary` record, from 0
  bool paused = false;           // by a person, who has not resumed it
  bool aborted = false;          // by a person: why it is rolled back
  std::string cause;             // of the last `rolling_back` record
};
[[nodiscard]] JournalState read_journal(history::CycleKind kind,
                                        const std::vector<history::JournalRecord>& journal);

// What the host says.
struct Observed {
  enum class Pointer { before, after, elsewhere };
  Pointer pointer = Pointer::before;
  bool same = false;     // before and after are the same version: the pointer tells nothing
  bool new_runs = true;  // every service of the new version has a living process of it, or is paused
  bool paused = false;   // one was drained together with the conductor, on purpose
  std::int64_t now_ms = 0;
  std::int64_t probation_ms = 0;
  bool old_rests = false;  // of a service at least the old version is alive, to go back to by steering alone
  std::int64_t bake_ms = 0;
};

struct Step {
  enum class Kind {
    nothing,    // not the conductor's business (yet, or any more)
    give_up,    // record `failed`: the old version is live
    redo_swap,  // drop what was started, and swap from the start
    canary,     // the new version has some of the users: go on with that step
    bake,       // the new version is live, and the old one alive and idle until until_ms
    verify,     // the new version is live: watch it until until_ms
    roll_back,  // put the old version back, because of cause
    close,      // the verdict is there, but the `done` record is missing
  };
  Kind kind = Kind::nothing;
  std::int64_t until_ms = 0;
  std::string cause{};
  friend bool operator==(const Step&, const Step&) = default;
};
[[nodiscard]] std::string_view to_string(Step::Kind kind);

[[nodiscard]] Step next_step(const JournalState& journal, const Observed& observed);

}  // namespace sb::activation
