// Removing what a build left in a stage, however deep, read-only or strange, without following a symlink and
// with a bounded number of descriptors. Used by tree_writer.h.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace sb::staging {

// Removes `name` in the folder and all below it. `root` is where folders nested deeper than 32 are moved to
// on the way, under temporary names that this call removes again; same file system. Fine when nothing is
// there.
[[nodiscard]] Status remove_below(int root, int folder, const std::string& name);

// Makes the folder `name` 0755 again when its owner may not read, write and search it: a build may have taken
// that from itself and from us. A symlink is not followed; nothing happens when it is no folder.
void give_back_permissions(int folder, const std::string& name);

// The names in a folder, without "." and "..". The descriptor must not be O_PATH and stays the caller's.
[[nodiscard]] Result<std::vector<std::string>> names_in(int folder);

}  // namespace sb::staging
