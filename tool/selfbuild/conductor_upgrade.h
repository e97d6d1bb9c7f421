// selfbuild conductor upgrade FILE: another conductor program takes over from the one that runs, while the
// services run on.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "os/home.h"
#include "update/conductor_link.h"

namespace sb::tool {

struct ConductorUpgrade {
  enum class Outcome {
    taken_over,     // the new one runs
    unchanged,      // it ran already
    went_back,      // the new one died over and over, and the one before runs again
    at_next_start,  // no conductor runs
  };
  Outcome outcome = Outcome::taken_over;
  std::string version;               // of the new one
  std::filesystem::path program;     // where it was copied to
  std::filesystem::path previous;    // what comes back when it dies over and over; empty: nothing
  pid_t pid = 0;                     // of the conductor that runs now
  std::chrono::milliseconds away{};  // from the end of the old one until the new one answered
};

// The file is copied, and has to show that it reads the state before anything is changed. refused when it
// would migrate the database, which the one before could then not read any more, unless `migrate`; conflict
// when the database is from a newer conductor. After an error the conductor is the one that it was.
[[nodiscard]] Result<ConductorUpgrade> upgrade_conductor(const os::Home& home,
                                                         update::ConductorLink& conductor,
                                                         const std::filesystem::path& file, bool migrate);

}  // namespace sb::tool
