#include "staging/tree_scan.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "staging/folder_removal.h"

namespace sb::staging {
namespace {

class Scanner {
 public:
  Scanner(const TreeWriter& writer, const TreeListing& known) : writer_(writer), known_(known) {}

  Status walk(const std::string& folder) {
    SB_TRY(const UniqueFd opened, writer_.open_folder(folder));
    SB_TRY(const std::vector<std::string> names, names_in(opened.get()));
    for (const std::string& name : names) {
      const std::string path = folder.empty() ? name : fmt::format("{}/{}", folder, name);
      if (path == ".git") continue;
      SB_CHECK(look_at(opened.get(), name, path));
    }
    return {};
  }

  TreeScan scan;

 private:
  Status look_at(int folder, const std::string& name, const std::string& path) {
    struct stat info{};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return {};  // gone while we looked
    const auto entry = known_.find(path);
    const bool is_known = entry != known_.end();
    if (S_ISDIR(info.st_mode)) {
      // A submodule's folder is walked, too: whatever it holds is a stranger.
      if ((info.st_mode & S_IRWXU) != S_IRWXU) give_back_permissions(folder, name);
      const bool is_submodule = is_known && entry->second.mode == kModeGitlink;
      if (is_submodule || has_folder(known_, path)) return walk(path);
      scan.strangers.push_back(path);
    } else if (is_known && entry->second.mode != kModeGitlink &&
               (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode))) {
      scan.files.emplace(path, info);
    } else {
      scan.strangers.push_back(path);
    }
    return {};
  }

  const TreeWriter& writer_;
  const TreeListing& known_;
};

}  // namespace

Result<TreeScan> scan_tree(const TreeWriter& writer, const TreeListing& known) {
  Scanner scanner(writer, known);
  SB_CHECK(scanner.walk(""));
  return std::move(scanner.scan);
}

}  // namespace sb::staging
