// KnownChecks: what a run of CMake found out about the host - project() found this compiler,
// check_include_file(unistd.h HAVE_UNISTD_H) is 1 - told to the next run, of changed scripts, as the entries
// of CMakeCache.txt that a build folder would have that is configured again. That is most of the time of a
// configure.
//
// A build folder believes such an entry for ever. Here it is told only as long as nothing before its check is
// another than it was: no line of a script up to the last one that ran then, and no other input of CMake. Two
// runs from nothing would then do the same until there. That the run that is told does so, too, and sees
// nothing of having been told, its trace says afterwards; else it is thrown away, and CMake starts from
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

class ScriptLines;

class KnownChecks {
 public:
  // From the trace of a run (cmake_trace.h) that was told `told`. conflict: it must not have been; refused:
  // of this project nothing is told. The trace and the scripts are read as hostile.
  [[nodiscard]] static Result<KnownChecks> from_trace(const std::filesystem::path& file,
                                                      const cache::Places& places, const KnownChecks& told);

  // Those that may be told of the scripts as they are now: the first ones.
  [[nodiscard]] KnownChecks still_true(const cache::Places& places) const;

  // Of `cache`, the CMakeCache.txt that the run left, only what belongs to the checks. Nothing when flags in
  // it name the stage, whose headers a check might have read.
  [[nodiscard]] std::string entries(std::string_view cache, const cache::Places& places) const;
  // Of `inputs`, what CMake says that it read, those of its own files that only checks needed.
  [[nodiscard]] std::vector<std::string> files(const std::vector<std::filesystem::path>& inputs) const;
  // The project's own that ran.
  [[nodiscard]] const std::set<std::string>& scripts() const { return scripts_; }

  [[nodiscard]] bool empty() const { return checks_.empty(); }
  [[nodiscard]] std::string to_text() const;
  [[nodiscard]] static Result<KnownChecks> from_text(std::string_view text);

 private:
  friend class TraceOfChecks;
  struct Script {
    std::string path;
    std::size_t lines = 0;  // the first ones, up to the last that ran
  };
  struct Check {
    Key state;                       // of all that was executed before, and of its call
    std::vector<std::string> names;  // of the entries it made
    std::vector<Script> scripts;     // of which more had run than before the check before
    Key texts;                       // of those lines
  };
  // Of the first lines of each.
  [[nodiscard]] static Key key_of(const std::vector<Script>& scripts, ScriptLines& lines);

  std::vector<Check> checks_;        // in their order
  std::set<std::string> variables_;  // that they set, and a run that is told may lack
  // Not of from_text():
  std::string cmake_;                // where CMake's own modules are
  std::set<std::string> elsewhere_;  // those that more than checks needed
  std::set<std::string> scripts_;
};

}  // namespace sb::build
