// What this host can and cannot do for a cycle, each found out by trying it. For `selfbuild doctor`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "os/home.h"
#include "sandbox/envelope.h"

namespace sb::tool {

struct Check {
  enum class Level {
    ok,
    weak,     // a cycle can run, but something is enforced less strictly, or is not there to be used
    missing,  // no cycle can run
  };
  std::string name;
  Level level = Level::missing;
  std::string found;  // one line
  std::string mend;   // the command that mends it; empty when ok, or when there is none
};
[[nodiscard]] std::string_view to_string(Check::Level level);

[[nodiscard]] std::vector<Check> check_tools();                                // cmake, ninja, a compiler
[[nodiscard]] Check check_repository(const std::filesystem::path& directory);  // of the project around it
[[nodiscard]] std::vector<Check> check_home(const os::Home& home);             // writable, space, sockets
[[nodiscard]] Check check_conductor(const os::Home& home);                     // running, or could be started
[[nodiscard]] std::vector<Check> check_kernel(const os::Home& home);           // openat2, pidfd
[[nodiscard]] std::vector<Check> check_limits(const sandbox::Envelope& envelope);  // a line per limit

// "3.25" is not above "3.25.1", and below "3.30".
[[nodiscard]] bool version_at_least(std::string_view found, std::string_view wanted);

}  // namespace sb::tool
