#include "staging/path_rules.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "staging/path_names.h"

namespace sb::staging {
namespace {

constexpr std::size_t kMaxPathBytes = 4095;
constexpr std::size_t kMaxNameBytes = 255;
constexpr int kMaxSymlinkSteps = 40;

std::unexpected<Error> refuse(std::string_view rule_name, std::string_view path, std::string_view why) {
  return fail(broken_rule(rule_name, path, why));
}

// Calls f with every folder above path: "a", "a/b" for "a/b/c".
template <typename F>
void each_folder_above(std::string_view path, F f) {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    f(path.substr(0, slash));
  }
}

// Where a symlink leads; empty when it stays inside, else why it does not.
Result<std::string> why_it_escapes(const std::string& link, const TreeListing& tree, const LinkReader& read) {
  std::vector<std::string> at;  // the folder that was reached
  std::deque<std::string> ahead;
  for (const std::string_view part : split_path(link)) ahead.emplace_back(part);
  for (int steps = 0; !ahead.empty();) {
    const std::string name = ahead.front();
    ahead.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (at.empty()) return "its target lies outside the tree";
      at.pop_back();
      continue;
    }
    if (is_git_folder(name)) return "its target is git's own folder";
    at.push_back(name);
    const std::string here = fmt::format("{}", fmt::join(at, "/"));
    const auto entry = tree.find(here);
    if (entry == tree.end() || entry->second.mode != kModeSymlink) continue;
    if (++steps > kMaxSymlinkSteps) return "it leads through more than 40 symlinks";
    SB_TRY(const std::string target, read(here, entry->second));
    if (target.empty()) return "its target is empty";
    if (std::ranges::any_of(target, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
      return "its target has control characters";
    }
    if (target.starts_with('/')) return "its target is absolute";
    if (target.size() > kMaxPathBytes) return "its target is too long";
    at.pop_back();
    const auto parts = split_path(target);
    ahead.insert(ahead.begin(), parts.begin(), parts.end());
  }
  return std::string();
}

}  // namespace

Error broken_rule(std::string_view rule_name, std::string_view path, std::string_view why) {
  return make_error(ErrorKind::refused, fmt::format("rule '{}' refuses {}: {}", rule_name,
                                                    path.empty() ? "''" : printable(path), why));
}

Status check_structure(std::string_view path) {
  if (path.starts_with('/'))
    return refuse(rule::kAbsolutePath, path, "paths are relative to the top of the tree");
  if (path.size() > kMaxPathBytes)
    return refuse(rule::kTooLong, path.substr(0, 80), "the path has over 4095 bytes");
  const auto components = split_path(path);
  if (components.size() > kMaxTreeDepth) return refuse(rule::kTooLong, path, "over 128 folders deep");
  for (const std::string_view component : components) {
    const auto pieces = split_path(component, '\\');
    if (std::ranges::find(pieces, "..") != pieces.end()) {
      return refuse(rule::kEscapes, path, "it has a '..' in it");
    }
    if (component.empty() || component == ".")
      return refuse(rule::kEmptyName, path, "a part of it is empty or '.'");
    if (component.size() > kMaxNameBytes) return refuse(rule::kTooLong, path, "a name has over 255 bytes");
    if (component.find('\0') != std::string_view::npos)
      return refuse(rule::kControl, path, "a name has a zero byte");
    if (is_git_folder(component)) {
      return refuse(rule::kGitFolder, path, "git, NTFS or HFS+ would take a part of it for .git");
    }
  }
  return {};
}

Status check_patch_path(std::string_view path) {
  SB_CHECK(check_structure(path));
  if (path.size() >= 2 && path[1] == ':' && (path.size() == 2 || path[2] == '/' || path[2] == '\\')) {
    return refuse(rule::kAbsolutePath, path, "it begins with a drive letter");
  }
  for (const std::string_view component : split_path(path)) {
    if (is_submodule_file(component)) {
      return refuse(rule::kSubmoduleFile, path, "what submodules name is not a patch's to change");
    }
  }
  if (path.find('\\') != std::string_view::npos) {
    return refuse(rule::kBackslash, path, "a backslash divides folders on other systems");
  }
  const auto points = decode_utf8(path);
  const bool control =
      points ? std::ranges::any_of(*points, is_control)
             : std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (control) return refuse(rule::kControl, path, "names must not have control characters");
  return {};
}

Status check_new_name(std::string_view path) {
  const auto points = decode_utf8(path);
  if (!points) return refuse(rule::kUnicode, path, "a new name must be UTF-8");
  if (std::ranges::any_of(*points, is_invisible)) {
    return refuse(rule::kUnicode, path,
                  "a new name must not have characters that are not seen or turn text around");
  }
  if (std::ranges::any_of(*points, is_combining)) {
    return refuse(rule::kUnicode, path,
                  "a new name must be composed (NFC): a letter and its accent as one character");
  }
  return {};
}

Status check_mode(std::string_view path, unsigned mode) {
  if (mode == kModeFile || mode == kModeExecutable || mode == kModeSymlink) return {};
  if (mode == kModeGitlink)
    return refuse(rule::kGitlink, path, "a patch must not make, move or change a submodule");
  return refuse(rule::kMode, path, fmt::format("mode {:06o} is none of 100644, 100755 and 120000", mode));
}

Status check_folders_above(std::string_view path, const TreeListing& tree,
                           const std::set<std::string, std::less<>>& symlinks_made) {
  Status status;
  each_folder_above(path, [&](std::string_view folder) {
    if (!status) return;
    const auto entry = tree.find(folder);
    const bool in_tree = entry != tree.end();
    if ((in_tree && entry->second.mode == kModeSymlink) || symlinks_made.contains(folder)) {
      status = refuse(rule::kThroughSymlink, path,
                      fmt::format("{} is a symlink, before or in this patch", printable(folder)));
    } else if (in_tree && entry->second.mode == kModeGitlink) {
      status = refuse(rule::kGitlink, path, fmt::format("{} is a submodule", printable(folder)));
    }
  });
  return status;
}

Status check_symlinks(const TreeListing& before, const TreeListing& after,
                      const std::set<std::string>& touched, const LinkReader& read) {
  const auto is_link = [](const TreeListing& tree, const std::string& path) {
    const auto entry = tree.find(path);
    return entry != tree.end() && entry->second.mode == kModeSymlink;
  };
  const bool links_changed = std::ranges::any_of(
      touched, [&](const std::string& path) { return is_link(before, path) || is_link(after, path); });
  if (!links_changed) return {};
  for (const auto& [path, entry] : after) {
    if (entry.mode != kModeSymlink) continue;
    SB_TRY(const std::string why, why_it_escapes(path, after, read));
    if (why.empty()) continue;
    // A symlink that led outside before is the repository's own affair; nothing is ever written through it.
    if (!touched.contains(path) && is_link(before, path)) {
      SB_TRY(const std::string before_too, why_it_escapes(path, before, read));
      if (!before_too.empty()) continue;
    }
    return refuse(rule::kSymlinkTarget, path, why);
  }
  return {};
}

Status check_collisions(const TreeListing& after, const std::set<std::string>& added) {
  struct Name {
    std::string path;
    bool is_added;
  };
  std::unordered_map<std::string, Name> seen;
  for (const auto& [path, entry] : after) {
    const bool is_added = added.contains(path);
    std::optional<std::string> rival;
    std::optional<std::string> file_above;
    const auto look = [&](std::string_view name) {
      const auto [at, is_new] =
          seen.emplace(fold_case(name), Name{.path = std::string(name), .is_added = is_added});
      if (at->second.path != name && (is_added || at->second.is_added)) rival = at->second.path;
      at->second.is_added = at->second.is_added || is_added;
    };
    each_folder_above(path, [&](std::string_view folder) {
      look(folder);
      if (after.contains(folder)) file_above = folder;
    });
    look(path);
    if (file_above)
      return refuse(rule::kFileCollision, path, fmt::format("{} is a file", printable(*file_above)));
    if (rival) {
      return refuse(rule::kCaseCollision, path,
                    fmt::format("it is the same as {} where case does not count", printable(*rival)));
    }
  }
  return {};
}

}  // namespace sb::staging
