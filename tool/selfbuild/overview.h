// What `selfbuild status` knows at one moment: of the conductor, when it answers, and of history in any case.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "history/types.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

struct Overview {
  struct Project {
    std::string name;
    std::optional<int> live;
    std::optional<std::int64_t> live_since_ms;  // when the cycle that put it into service had kept it
    std::optional<history::Cycle> last;         // the newest that has ended
  };
  struct Open {
    history::Cycle cycle;
    std::optional<history::JournalRecord> record;  // its newest; a cycle that waits has only `planned`
    [[nodiscard]] bool waits() const { return !record || record->step == history::Step::planned; }
  };
  std::vector<Project> projects;
  std::vector<Open> open;                 // oldest first
  std::shared_ptr<const Json> conductor;  // conductor.status; null when it does not answer
  std::string conductor_problem;          // one line, then
  // How the services that run take being replaced, by name; see testrun/cooperation.h. Only those of whom it
  // is known.
  std::map<std::string, std::string> levels;
};

[[nodiscard]] Result<Overview> look(Program& program);
// Times are points in time, never ages: equal moments give equal JSON.
[[nodiscard]] Json overview_json(const Overview& overview);
// At most `columns` wide; 0: as wide as it is.
[[nodiscard]] std::string overview_screen(const Overview& overview, const Console& console,
                                          std::int64_t now_ms);

}  // namespace sb::tool
