// What a person reads of a cycle: a line per journal record, and one screen for its end. Pure functions of
// records, so that golden tests hold them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "history/types.h"
#include "tool/selfbuild/console.h"

namespace sb::tool {

// "built        3 of 214 edges in 8.1 s": the step, padded, and what its detail says.
[[nodiscard]] std::string sentence(const history::JournalRecord& record);

// The account of limits (sandbox::to_line) of a record whose run had some that this host could not enforce;
// else empty.
[[nodiscard]] std::string unenforced_limits(const history::JournalRecord& record);

// Where the time of a cycle went, from its journal. Milliseconds.
struct Timings {
  std::int64_t stage = 0;
  std::int64_t configure = 0;
  std::int64_t ninja = 0;
  std::int64_t tests = 0;
  std::int64_t store = 0;  // outputs into the object store and laid out to run
  std::int64_t probe = 0;
  std::int64_t swap = 0;    // from handing over to the pointer
  std::int64_t verify = 0;  // probation
  std::int64_t other = 0;   // what none of the above explains
  std::int64_t total = 0;   // from the first act to the verdict
};
[[nodiscard]] Timings timings_of(const std::vector<history::JournalRecord>& journal);
[[nodiscard]] std::string timings_table(const Timings& timings);
[[nodiscard]] Json timings_json(const Timings& timings);

// How a cycle ended. `live` is the version that runs now.
struct Ending {
  history::Cycle cycle;
  std::vector<history::JournalRecord> journal;
  std::optional<int> live;
};
[[nodiscard]] int exit_code_of(const Ending& ending);
// The first line says what happened, the second which version is running now; then the reason, the log, the
// next command.
[[nodiscard]] std::string ending_screen(const Ending& ending, const Console& console);
[[nodiscard]] Json ending_json(const Ending& ending);

}  // namespace sb::tool
