// WorktreeFiles: the administrative files that make a slot a real git worktree (gitrepository-layout(5)),
// written by us because libgit2's git_worktree_add would make a branch: detached HEAD, locked, with an index
// of its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <sys/stat.h>

#include "base/result.h"
#include "staging/tree_listing.h"

namespace sb::staging {

// One file as it was when the index was written.
struct IndexedFile {
  TreeEntry entry;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint32_t size = 0;  // of the file, modulo 2^32
  std::uint32_t inode = 0;
};
struct StageIndex {
  std::map<std::string, IndexedFile> files;
  std::int64_t written_ns = 0;  // a file that is as young as this may have changed unseen afterwards
};

class WorktreeFiles {
 public:
  // `slot` and `tree` are absolute. The worktree's name is made of the slot's number and its folder's digest.
  WorktreeFiles(const std::filesystem::path& git_dir, const std::filesystem::path& slot);

  // Writes gitdir, commondir, HEAD and locked where they differ. Not durable: they are written again at every
  // move.
  [[nodiscard]] Status write(const std::string& commit) const;
  // The text of the `.git` file on top of the worktree.
  [[nodiscard]] std::string link_text() const;
  // Empty when there is no index, or none that can be read.
  [[nodiscard]] StageIndex read_index() const;
  // Durable. `states` has the file behind every entry of the tree; a submodule's is its empty folder.
  [[nodiscard]] Status write_index(const TreeListing& tree,
                                   const std::map<std::string, struct stat>& states) const;
  [[nodiscard]] Status remove() const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path slot_;
  std::filesystem::path folder_;  // .git/worktrees/<name>
};

// True when the file is, by all that stat(2) can say, the one that was indexed.
[[nodiscard]] bool is_unchanged(const IndexedFile& file, const struct stat& info,
                                std::int64_t index_written_ns);

}  // namespace sb::staging
