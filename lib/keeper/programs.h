// Programs: which conductor the keeper starts. A folder with the symlinks `current` and `previous` says so;
// where there is no current one (the usual case: nobody has upgraded the conductor), it is the one it was
// given. Part of the keeper's inside; see kept_programs.h for how the links come there.
#pragma once

#include <array>
#include <climits>

#include "base/unique_fd.h"
#include "keeper/keeper.h"

namespace sb::keeper {

class Programs {
 public:
  Programs(const char* folder, char* fallback);
  // Becomes the conductor. In a child.
  [[noreturn]] void execute() const;
  // True when the one before is the current one again; what was current is then `rejected`.
  [[nodiscard]] bool go_back() const;

 private:
  UniqueFd folder_;
  char* fallback_;
  std::array<char, PATH_MAX> current_{};
};

}  // namespace sb::keeper
