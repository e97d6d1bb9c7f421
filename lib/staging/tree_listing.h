// TreeListing: every file of a git tree by its path: what a patch is judged against and what a stage must
// hold.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "staging/repository.h"

namespace sb::staging {

inline constexpr unsigned kModeFile = 0100644;
inline constexpr unsigned kModeExecutable = 0100755;
inline constexpr unsigned kModeSymlink = 0120000;
inline constexpr unsigned kModeGitlink = 0160000;  // a submodule's commit

struct TreeEntry {
  unsigned mode = 0;  // one of the four above
  std::string id;     // 40 hex digits
  bool operator==(const TreeEntry&) const = default;
};
using TreeListing = std::map<std::string, TreeEntry, std::less<>>;

inline constexpr std::size_t kMaxTreeEntries = 2'000'000;  // a few nested trees can name billions of files
inline constexpr std::size_t kMaxTreeDepth = 128;

// Errors: refused above the two limits, corrupt for a tree that names a path twice, and what libgit2 says.
[[nodiscard]] Result<TreeListing> list_tree(const Repository::Handle& handle, const std::string& tree);

// True when something in the listing lies below this folder.
[[nodiscard]] bool has_folder(const TreeListing& listing, std::string_view folder);

// The bytes of a blob as they are stored: no filter, no line end conversion. `path` is for the error's words.
[[nodiscard]] Result<std::string> read_blob_by_id(const Repository::Handle& handle, const std::string& id,
                                                  std::string_view path);
[[nodiscard]] Result<std::size_t> blob_size(const Repository::Handle& handle, const std::string& id);
// The name git gives to these bytes as a blob; nothing is stored.
[[nodiscard]] std::string blob_id(std::string_view bytes);

}  // namespace sb::staging
