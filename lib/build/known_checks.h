// KnownChecks: what a run of CMake found out about the host - project() found this compiler,
// check_include_file(unistd.h HAVE_UNISTD_H) is 1 - told to the next run, of changed scripts, as the entries
// of CMakeCache.txt that a build folder would have that is configured again. That is most of the time of a
// configure.
//
// A build folder believes such an entry for ever. Here it is believed when the next run asks the same
// question in the same state: what the project's scripts executed before it (CMake's trace has it, with all
// variables replaced) is the same, but for commands that no check can notice, and nothing was said of the
// entry before. That is known afterwards: a run that was told too much is thrown away, and CMake starts from
// nothing.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/places.h"

namespace sb::build {

class KnownChecks {
 public:
  // From the trace of a run (cmake_trace.h) that was told `told`, all of which must have held. An error says
  // which did not: conflict; or what makes the project one whose checks are not told again: refused.
  [[nodiscard]] static Result<KnownChecks> from_trace(const std::filesystem::path& file,
                                                      const cache::Places& places, const KnownChecks& told);

  // Of `cache`, the CMakeCache.txt that the run left, only what belongs to the checks.
  [[nodiscard]] std::string entries(std::string_view cache) const;
  // Of `inputs`, what CMake says that it read, those of its own files that only checks needed.
  [[nodiscard]] std::vector<std::string> files(const std::vector<std::filesystem::path>& inputs) const;

  [[nodiscard]] bool empty() const { return checks_.empty(); }
  [[nodiscard]] std::string to_text() const;
  [[nodiscard]] static Result<KnownChecks> from_text(std::string_view text);

 private:
  friend class TraceOfChecks;
  struct Check {
    Key call;                        // the command and its arguments
    Key state;                       // what was executed before
    std::vector<std::string> names;  // of the entries it made
  };
  std::vector<Check> checks_;        // in their order
  std::string cmake_;                // where CMake's own modules are; not of from_text()
  std::set<std::string> elsewhere_;  // those that more than checks needed; not of from_text()
};

}  // namespace sb::build
