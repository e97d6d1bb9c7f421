#include "staging/tree_listing.h"

#include <algorithm>

#include <fmt/format.h>

#include "staging/git_handles.h"

namespace sb::staging {
namespace {

struct Walk {
  TreeListing listing;
  std::string too_much;  // why the walk was stopped
  std::string twice;     // a path that came twice
};

int add_entry(const char* folder, const git_tree_entry* entry, void* payload) {
  Walk& walk = *static_cast<Walk*>(payload);
  const std::string_view above = folder;
  const git_filemode_t mode = git_tree_entry_filemode(entry);
  if (static_cast<std::size_t>(std::ranges::count(above, '/')) >= kMaxTreeDepth) {
    walk.too_much = fmt::format("folders nested deeper than {}", kMaxTreeDepth);
    return -1;
  }
  if (mode == GIT_FILEMODE_TREE) return 0;
  const auto [at, is_new] = walk.listing.emplace(
      fmt::format("{}{}", above, git_tree_entry_name(entry)),
      TreeEntry{.mode = static_cast<unsigned>(mode), .id = hex(*git_tree_entry_id(entry))});
  if (!is_new) walk.twice = at->first;
  if (walk.listing.size() > kMaxTreeEntries)
    walk.too_much = fmt::format("more than {} files", kMaxTreeEntries);
  return is_new && walk.too_much.empty() ? 0 : -1;
}

// A hostile tree may hold `a` as a file and `a/b` below it; whichever is written last would win.
Status check_no_file_is_a_folder(const TreeListing& listing) {
  for (const auto& [path, entry] : listing) {
    if (has_folder(listing, path)) {
      return fail(ErrorKind::corrupt, fmt::format("the tree has '{}' both as a file and as a folder", path));
    }
  }
  return {};
}

}  // namespace

Result<TreeListing> list_tree(const Repository::Handle& handle, const std::string& tree) {
  SB_TRY(const git_oid id, parse_id(tree));
  git_tree* found = nullptr;
  if (const int code = git_tree_lookup(&found, handle.get(), &id); code != 0) {
    return fail(from_libgit2(fmt::format("cannot read tree {}", tree), code));
  }
  const GitTree root(found);
  Walk walk;
  const int code = git_tree_walk(root.get(), GIT_TREEWALK_PRE, add_entry, &walk);
  if (!walk.too_much.empty()) {
    return fail(ErrorKind::refused, fmt::format("tree {} has {}", tree.substr(0, 12), walk.too_much));
  }
  if (!walk.twice.empty()) {
    return fail(ErrorKind::corrupt, fmt::format("tree {} names '{}' twice", tree.substr(0, 12), walk.twice));
  }
  if (code != 0) return fail(from_libgit2(fmt::format("cannot read tree {}", tree), code));
  SB_CHECK(check_no_file_is_a_folder(walk.listing));
  return std::move(walk.listing);
}

bool has_folder(const TreeListing& listing, std::string_view folder) {
  const std::string below = fmt::format("{}/", folder);
  const auto next = listing.lower_bound(below);
  return next != listing.end() && next->first.starts_with(below);
}

Result<std::string> read_blob_by_id(const Repository::Handle& handle, const std::string& id,
                                    std::string_view path) {
  SB_TRY(const git_oid oid, parse_id(id));
  git_blob* found = nullptr;
  if (const int code = git_blob_lookup(&found, handle.get(), &oid); code != 0) {
    Error error = from_libgit2(fmt::format("cannot read {} (blob {})", path, id.substr(0, 12)), code);
    if (code == GIT_ENOTFOUND) {
      error.kind = ErrorKind::corrupt;
      error.what += "; a partial clone lacks it until git fetches it";
      error.next = "git fsck";
    }
    return fail(std::move(error));
  }
  const GitBlob blob(found);
  return std::string(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                     static_cast<std::size_t>(git_blob_rawsize(blob.get())));
}

Result<std::size_t> blob_size(const Repository::Handle& handle, const std::string& id) {
  SB_TRY(const git_oid oid, parse_id(id));
  git_odb* opened = nullptr;
  if (const int code = git_repository_odb(&opened, handle.get()); code != 0) {
    return fail(from_libgit2("cannot open the object database", code));
  }
  const GitOdb odb(opened);
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_ANY;
  if (const int code = git_odb_read_header(&size, &type, odb.get(), &oid); code != 0) {
    return fail(from_libgit2(fmt::format("cannot read blob {}", id), code));
  }
  return size;
}

std::string blob_id(std::string_view bytes) {
  git_oid id{};
  git_odb_hash(&id, bytes.data(), bytes.size(), GIT_OBJECT_BLOB);
  return hex(id);
}

}  // namespace sb::staging
