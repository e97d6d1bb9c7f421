// The rules of what a patch may touch and what a stage may hold. They are ours and do not lean on libgit2's:
// every one has a name that stays the same and begins the error. Pure functions; nothing is written before
// all have passed.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "staging/tree_listing.h"

namespace sb::staging {

namespace rule {
inline constexpr std::string_view kAbsolutePath = "absolute path";
inline constexpr std::string_view kEscapes = "path escapes the tree";
inline constexpr std::string_view kEmptyName = "empty name";  // "", "." or a path that ends with a slash
inline constexpr std::string_view kTooLong =
    "name too long";  // component > 255 bytes, path > 4095, > 128 deep
inline constexpr std::string_view kGitFolder = "git folder";
inline constexpr std::string_view kSubmoduleFile = "submodule file";
inline constexpr std::string_view kGitlink = "gitlink";
inline constexpr std::string_view kThroughSymlink = "through a symlink";
inline constexpr std::string_view kSymlinkTarget = "symlink target";
inline constexpr std::string_view kMode = "mode";
inline constexpr std::string_view kTypeChange = "type change";
inline constexpr std::string_view kBackslash = "backslash";
inline constexpr std::string_view kControl = "control character";
inline constexpr std::string_view kUnicode = "unicode";
inline constexpr std::string_view kCaseCollision = "case collision";
inline constexpr std::string_view kFileCollision = "file collision";  // a file where the patch needs a folder
inline constexpr std::string_view kTwice = "same file twice";
inline constexpr std::string_view kNames = "inconsistent names";  // the headers of one file disagree
inline constexpr std::string_view kTooLarge = "too large";
inline constexpr std::string_view kBinaryDelta = "binary delta";
inline constexpr std::string_view kBinaryWithoutData = "binary without data";
inline constexpr std::string_view kTruncated = "truncated";
inline constexpr std::string_view kSyntax = "not a patch";
inline constexpr std::string_view kEncoded = "encoded mail";
inline constexpr std::string_view kMerge = "merge diff";
}  // namespace rule

// refused: "rule 'git folder' refuses a/.GIT/x: <why>".
[[nodiscard]] Error broken_rule(std::string_view rule_name, std::string_view path, std::string_view why);

// What must hold for every path that is ever written, also from a commit: relative, no `..`, no git folder,
// lengths.
[[nodiscard]] Status check_structure(std::string_view path);
// For every path that a patch names: check_structure, no .gitmodules, no backslash, no control characters.
[[nodiscard]] Status check_patch_path(std::string_view path);
// For a path that the tree does not have yet: UTF-8, nothing unseen, no decomposed letters.
[[nodiscard]] Status check_new_name(std::string_view path);
// 100644, 100755 and 120000 only.
[[nodiscard]] Status check_mode(std::string_view path, unsigned mode);
// No folder above the path is a symlink (or a submodule), neither in the tree nor among those the patch
// makes.
[[nodiscard]] Status check_folders_above(std::string_view path, const TreeListing& tree,
                                         const std::set<std::string, std::less<>>& symlinks_made);

using LinkReader = std::function<Result<std::string>(const std::string& path, const TreeEntry& entry)>;
// On the whole result: every symlink that was touched, or whose way may now lead through one that was, stays
// inside the tree and out of .git; resolved step by step through other symlinks, at most 40.
[[nodiscard]] Status check_symlinks(const TreeListing& before, const TreeListing& after,
                                    const std::set<std::string>& touched, const LinkReader& read);
// On the whole result: no added path is the same as another but for case, and no file is where a folder must
// be.
[[nodiscard]] Status check_collisions(const TreeListing& after, const std::set<std::string>& added);

}  // namespace sb::staging
