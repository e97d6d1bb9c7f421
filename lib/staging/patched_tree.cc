#include "staging/patched_tree.h"

#include <fmt/format.h>

#include "staging/binary_patch.h"
#include "staging/hunks.h"
#include "staging/path_names.h"
#include "staging/path_rules.h"

namespace sb::staging {
namespace {

bool is_symlink_mode(unsigned mode) {
  return mode == kModeSymlink;
}

const TreeEntry* find_in(const TreeListing& listing, const std::string& path) {
  const auto entry = listing.find(path);
  return entry == listing.end() ? nullptr : &entry->second;
}

std::unexpected<Error> does_not_apply(const std::string& path, std::string_view why) {
  return fail(ErrorKind::conflict, fmt::format("the patch does not apply: {} {}", printable(path), why));
}

bool changes_bytes(const FilePatch& file) {
  return !file.hunks.empty() || file.binary.has_value();
}

// diff(1) marks a new file only by a hunk that begins at line 0.
FileAction action_of(const FilePatch& file, const TreeEntry* old) {
  const bool from_nothing =
      file.hunks.size() == 1 && file.hunks[0].old_start == 0 && file.hunks[0].old_count == 0;
  if (file.is_plain && file.action == FileAction::modify && old == nullptr && from_nothing)
    return FileAction::add;
  return file.action;
}

// The types that the patch expects against those that the tree has.
Status check_type(const FilePatch& file, const TreeEntry& old) {
  if (file.old_mode != 0 && is_symlink_mode(file.old_mode) != is_symlink_mode(old.mode)) {
    return fail(broken_rule(
        rule::kMode, file.old_path,
        fmt::format("the patch takes it for {:06o}, the tree has {:06o}", file.old_mode, old.mode)));
  }
  if (is_symlink_mode(old.mode) && file.old_mode == 0 && changes_bytes(file)) {
    return fail(
        broken_rule(rule::kThroughSymlink, file.old_path, "it is a symlink, and the patch does not say so"));
  }
  return {};
}

}  // namespace

Status PatchedTree::check_names(const std::vector<Mail>& mails) {
  for (const Mail& mail : mails) {
    for (const FilePatch& file : mail.files) {
      const TreeEntry* old = find_in(before_, file.old_path);
      const bool was_symlink =
          (old != nullptr && is_symlink_mode(old->mode)) || symlinks_made_.contains(file.old_path);
      const bool moves = file.action == FileAction::rename || file.action == FileAction::copy;
      if (is_symlink_mode(file.new_mode) || (moves && was_symlink)) symlinks_made_.insert(file.new_path);
    }
  }
  for (const Mail& mail : mails) {
    for (const FilePatch& file : mail.files) SB_CHECK(check_file(file));
  }
  return {};
}

Status PatchedTree::check_file(const FilePatch& file) const {
  for (const std::string& path : {file.old_path, file.new_path}) {
    SB_CHECK(check_patch_path(path));
    if (!before_.contains(path)) SB_CHECK(check_new_name(path));
    SB_CHECK(check_folders_above(path, before_, symlinks_made_));
    const TreeEntry* entry = find_in(before_, path);
    if (entry != nullptr) SB_CHECK(check_mode(path, entry->mode));
  }
  for (const unsigned mode : {file.old_mode, file.new_mode}) {
    if (mode != 0) SB_CHECK(check_mode(file.new_path, mode));
  }
  const bool both = file.old_mode != 0 && file.new_mode != 0;
  if (both && is_symlink_mode(file.old_mode) != is_symlink_mode(file.new_mode)) {
    return fail(broken_rule(rule::kTypeChange, file.new_path,
                            "a file becomes a symlink only by being deleted and added"));
  }
  return {};
}

Result<TreeChange> PatchedTree::apply(const Mail& mail) {
  TreeChange change;
  for (const FilePatch& file : mail.files) {
    const bool goes = file.action == FileAction::remove || file.action == FileAction::rename;
    if (goes && !change.removed.insert(file.old_path).second) {
      return fail(broken_rule(rule::kTwice, file.old_path, "it is removed or renamed twice"));
    }
  }
  // Every diff of a mail is against the tree before that mail, so that two files can be swapped by renames.
  for (const FilePatch& file : mail.files) {
    const TreeEntry* old = find_in(now_, file.old_path);
    const FileAction action = action_of(file, old);
    const bool makes =
        action == FileAction::add || action == FileAction::rename || action == FileAction::copy;
    if (action != FileAction::add && old == nullptr) return does_not_apply(file.old_path, "does not exist");
    if (makes && now_.contains(file.new_path) && !change.removed.contains(file.new_path)) {
      return does_not_apply(file.new_path, "already exists");
    }
    SB_TRY(TreeEntry entry, result_of(file, action == FileAction::add ? nullptr : old));
    if (action == FileAction::remove) continue;
    const bool emptied = file.is_plain && file.hunks.back().new_start == 0 && new_blobs_.at(entry.id).empty();
    if (emptied) {
      change.removed.insert(file.old_path);
    } else if (!change.written.emplace(file.new_path, std::move(entry)).second ||
               (action == FileAction::modify && change.removed.contains(file.new_path))) {
      return fail(broken_rule(rule::kTwice, file.new_path, "two diffs of one patch make it"));
    }
  }
  for (const std::string& path : change.removed) {
    now_.erase(path);
    touched_.insert(path);
  }
  for (const auto& [path, entry] : change.written) {
    now_.insert_or_assign(path, entry);
    touched_.insert(path);
  }
  return change;
}

Result<TreeEntry> PatchedTree::result_of(const FilePatch& file, const TreeEntry* old) {
  if (old != nullptr) SB_CHECK(check_type(file, *old));
  const unsigned mode = file.new_mode != 0 ? file.new_mode : old != nullptr ? old->mode : kModeFile;
  if (!changes_bytes(file) && old != nullptr && file.action != FileAction::remove) {
    return TreeEntry{.mode = mode, .id = old->id};
  }
  SB_TRY(std::string bytes, bytes_of(file, old));
  if (file.action == FileAction::remove) {
    if (!bytes.empty()) return does_not_apply(file.old_path, "has more lines than the patch deletes");
    return TreeEntry{};
  }
  std::string id = blob_id(bytes);
  // The index line names both blobs. When the old one is ours, the new one must come out: a patch that was
  // cut between two hunks shows here, and only here.
  const bool same_old = old != nullptr && !file.old_id.empty() && old->id.starts_with(file.old_id);
  if ((same_old || file.binary) && !file.new_id.empty() && !id.starts_with(file.new_id)) {
    Error error = broken_rule(rule::kTruncated, file.new_path,
                              "the hunks do not make the file that its index line names");
    error.expected = file.new_id;
    error.found = id.substr(0, file.new_id.size());
    return fail(std::move(error));
  }
  bytes_made_ += bytes.size();
  if (bytes_made_ > kMaxPatchResultBytes) {
    return fail(broken_rule(rule::kTooLarge, file.new_path,
                            fmt::format("the patch makes more than {} bytes in all", kMaxPatchResultBytes)));
  }
  new_blobs_.emplace(id, std::move(bytes));
  return TreeEntry{.mode = mode, .id = std::move(id)};
}

Result<std::string> PatchedTree::bytes_of(const FilePatch& file, const TreeEntry* old) {
  std::string bytes;
  if (old != nullptr) {
    SB_TRY(bytes, read(old->id, file.old_path));
  }
  if (file.binary) {
    if (old != nullptr && !file.old_id.empty() && !old->id.starts_with(file.old_id)) {
      return does_not_apply(file.old_path,
                            fmt::format("is not the binary file {} that the patch is against", file.old_id));
    }
    return apply_binary(*file.binary, bytes, file.new_path, kMaxFileBytes);
  }
  return apply_hunks(file.hunks, bytes, file.old_path, kMaxFileBytes);
}

Status PatchedTree::check_result() const {
  SB_CHECK(check_symlinks(before_, now_, touched_, [this](const std::string& path, const TreeEntry& entry) {
    return read(entry.id, path);
  }));
  std::set<std::string> added;
  for (const std::string& path : touched_) {
    if (!before_.contains(path)) added.insert(path);
  }
  return check_collisions(now_, added);
}

Result<std::string> PatchedTree::read(const std::string& id, std::string_view path) const {
  if (const auto made = new_blobs_.find(id); made != new_blobs_.end()) return made->second;
  return read_base_(id, path);
}

}  // namespace sb::staging
