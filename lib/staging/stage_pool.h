// StagePool: clean, disposable source trees of a repository, one per slot, that move from commit to commit by
// touching only the files that differ, so that Ninja stays incremental.
//
// A slot is a real git worktree (its files under .git/worktrees are written by us, detached, locked), with
// the source in slot-N/tree and the build folder in slot-N/build. The user's checkout, index and branches are
// never touched; results are kept on refs/selfbuild/cycles/<cycle>. Hooks, filters, fsmonitor and submodules
// of the repository never run. Files are written by tree_writer.h only.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "staging/repository.h"

namespace sb::staging {

// A slot that one cycle holds. The lock (flock on slot-N/lock) ends with the process.
class Stage {
 public:
  [[nodiscard]] std::filesystem::path folder() const { return tree_.parent_path(); }  // of both below
  [[nodiscard]] const std::filesystem::path& tree() const { return tree_; }
  [[nodiscard]] const std::filesystem::path& build() const { return build_; }
  [[nodiscard]] int slot() const { return slot_; }
  struct Moved {
    int written = 0;
    int removed = 0;
    bool recovered = false;          // the slot had been left dirty and was repaired first
    std::vector<std::string> notes;  // e.g. submodules that are not staged
  };
  [[nodiscard]] const Moved& moved() const { return moved_; }

 private:
  friend class StagePool;
  int slot_ = 0;
  std::filesystem::path tree_;
  std::filesystem::path build_;
  Moved moved_;
  UniqueFd lock_;
};

class StagePool {
 public:
  StagePool(std::filesystem::path root, int slots) : root_(std::move(root)), slots_(slots) {}

  // Takes a free slot, the one that is nearest to the commit by what it holds now, and moves it there. A slot
  // whose last move did not finish, or whose files were changed by somebody, is repaired: files that differ
  // from the index by size or mtime are compared with their blob and rewritten; strangers are removed.
  // conflict when every slot is taken.
  [[nodiscard]] Result<Stage> acquire(Repository& repository, const Source& source);
  // Removes the worktrees and their files that no cycle holds.
  [[nodiscard]] Status clear(Repository& repository);

 private:
  std::filesystem::path root_;
  int slots_;
};

}  // namespace sb::staging
