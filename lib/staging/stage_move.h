// Moving one slot to a tree: look, plan, write what differs, note it. The caller holds the slot's lock.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "staging/stage_pool.h"

namespace sb::staging {

// Makes slot/tree exactly source.tree and slot/build a folder. Files that are already right keep their mtime.
// After an error the slot is marked as moving, and the next move repairs it.
[[nodiscard]] Result<Stage::Moved> move_slot(Repository& repository, const Source& source,
                                             const std::filesystem::path& slot);

}  // namespace sb::staging
