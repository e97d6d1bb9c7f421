// PatchedTree: what a patch makes of a commit's tree, worked out in memory: path rules first, then hunks,
// then the rules on the result. Only when all of it is allowed does patch_commit.cc write objects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "staging/patch_reader.h"
#include "staging/tree_listing.h"

namespace sb::staging {

inline constexpr std::uint64_t kMaxPatchResultBytes = 512U
                                                      << 20U;  // of all files that a patch makes, together

// How one mail changed the tree.
struct TreeChange {
  std::set<std::string> removed;
  std::map<std::string, TreeEntry> written;
};

class PatchedTree {
 public:
  using BlobReader = std::function<Result<std::string>(const std::string& id, std::string_view path)>;
  PatchedTree(TreeListing base, BlobReader read_base)
      : before_(base), now_(std::move(base)), read_base_(std::move(read_base)) {}

  // Rules on everything that the patch names; nothing is read or made yet. Call once, before apply().
  [[nodiscard]] Status check_names(const std::vector<Mail>& mails);
  // One mail after the other. Errors: refused (a rule), conflict (does not apply: names file and hunk).
  [[nodiscard]] Result<TreeChange> apply(const Mail& mail);
  // Rules on the whole result: symlinks and collisions. Call last.
  [[nodiscard]] Status check_result() const;

  // Blobs that the base does not have, by id.
  [[nodiscard]] const std::map<std::string, std::string>& new_blobs() const { return new_blobs_; }

 private:
  [[nodiscard]] Status check_file(const FilePatch& file) const;
  [[nodiscard]] Result<std::string> read(const std::string& id, std::string_view path) const;
  [[nodiscard]] Result<TreeEntry> result_of(const FilePatch& file, const TreeEntry* old);
  [[nodiscard]] Result<std::string> bytes_of(const FilePatch& file, const TreeEntry* old);

  TreeListing before_;  // the commit's
  TreeListing now_;     // after the mails so far
  BlobReader read_base_;
  std::set<std::string, std::less<>> symlinks_made_;
  std::set<std::string> touched_;
  std::map<std::string, std::string> new_blobs_;
  std::uint64_t bytes_made_ = 0;
};

}  // namespace sb::staging
