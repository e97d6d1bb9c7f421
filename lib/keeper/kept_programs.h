// KeptPrograms: the conductor programs in state/conductor. `selfbuild conductor upgrade` puts one there and
// makes it the current one; the keeper starts it, and goes back to the previous one when it dies over and
// over.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "os/home.h"

namespace sb::keeper {

// What the links name, as absolute paths; empty where there is no link.
struct KeptPrograms {
  std::filesystem::path current;
  std::filesystem::path previous;
  std::filesystem::path rejected;  // was current, and died over and over
};
[[nodiscard]] KeptPrograms kept_programs(const os::Home& home);

// Copies a program into state/conductor, durably, under a name that comes from its bytes: the same one again
// is not written again.
[[nodiscard]] Result<std::filesystem::path> keep_program(const os::Home& home,
                                                         const std::filesystem::path& program);

// From its next start on the conductor is `program`; both are what keep_program() returned. previous: empty
// when there is none to go back to. Durable; after a crash in between the current one is the old or the new
// one, and whatever is current or previous is complete. Copies that are neither are removed.
[[nodiscard]] Status make_current(const os::Home& home, const std::filesystem::path& program,
                                  const std::filesystem::path& previous);

// Called at every start with the program that is installed. When that is another one than at the last start,
// somebody has installed it since, and it is what has to run: the links are removed.
void note_installed(const os::Home& home, const std::filesystem::path& program);

}  // namespace sb::keeper
