// Follows a cycle that the worker and the conductor carry out: prints each journal record as it comes, and
// Ninja's progress; starts the conductor again when it has gone; ends when the cycle does.
#pragma once

#include <cstdint>

#include "tool/selfbuild/command.h"
#include "tool/selfbuild/screen.h"

namespace sb::tool {

struct FollowOptions {
  bool timings = false;
};

// Prints the ending (or its JSON) and returns the exit code. interrupted after Ctrl-C: the cycle goes on
// without us.
[[nodiscard]] Result<int> follow(Program& program, std::int64_t cycle, const FollowOptions& options);

// The row, the journal and the live version as they are now.
[[nodiscard]] Result<Ending> ending_of(Program& program, std::int64_t cycle);

}  // namespace sb::tool
