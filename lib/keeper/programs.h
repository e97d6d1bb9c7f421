// Programs: which conductor the keeper starts. A folder with the symlinks `current` and `previous` says so;
// where there is no current one (the usual case: nobody has upgraded the conductor), it is the one it was
// given. Part of the keeper's inside; see kept_programs.h for how the links come there.
#pragma once

#include <array>
#include <climits>
#include <csignal>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "keeper/keeper.h"

namespace sb::keeper {

class Programs {
 public:
  Programs(const char* folder, char* fallback);
  // Starts the conductor: its pid, or -1. The keeper's end of the line to it is `link`.
  [[nodiscard]] pid_t start(UniqueFd& link, const sigset_t& signals) const;
  // True when the one before is the current one again; what was current is then `rejected`.
  [[nodiscard]] bool go_back() const;

 private:
  [[noreturn]] void execute() const;

  UniqueFd folder_;
  char* fallback_;
  std::array<char, PATH_MAX> current_{};
};

}  // namespace sb::keeper
