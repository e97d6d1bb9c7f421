// TreeScan: what really lies in a stage's folder, against what should: the first half of every move of a
// slot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "base/result.h"
#include "staging/tree_listing.h"
#include "staging/tree_writer.h"

namespace sb::staging {

struct TreeScan {
  std::map<std::string, struct stat> files;  // regular files and symlinks with a known name
  std::vector<std::string> strangers;        // everything else, each without what lies below it
};

// Walks the folder without following symlinks. `known` are the paths that may be there: of the tree that the
// slot holds and of the one that it moves to. The worktree's own `.git` file on top is left out.
[[nodiscard]] Result<TreeScan> scan_tree(const TreeWriter& writer, const TreeListing& known);

}  // namespace sb::staging
