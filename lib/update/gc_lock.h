// The lock between `selfbuild gc` and whatever puts a version into service: gc must not remove the files of a
// version between somebody's look at history and the moment from which the cycle's journal protects them.
// A flock on state/gc.lock; it ends with the descriptor, or with the process.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "os/home.h"

namespace sb::update {

// Held by many. Waits while gc removes, which takes seconds.
[[nodiscard]] Result<UniqueFd> keep_gc_away(const os::Home& home);
// Held by gc alone; nothing when somebody keeps it away.
[[nodiscard]] Result<std::optional<UniqueFd>> lock_for_gc(const os::Home& home);

}  // namespace sb::update
