#include "staging/stage_move.h"

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "staging/blob_reader.h"
#include "staging/folder_removal.h"
#include "staging/path_names.h"
#include "staging/path_rules.h"
#include "staging/slot_state.h"
#include "staging/tree_listing.h"
#include "staging/tree_scan.h"
#include "staging/tree_writer.h"
#include "staging/worktree_files.h"

namespace sb::staging {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLink = ".git";  // the worktree's file, not a path of the tree

class SlotMove {
 public:
  SlotMove(Repository& repository, const Source& source, const fs::path& slot, TreeWriter writer)
      : repository_(repository),
        source_(source),
        slot_(slot),
        worktree_(repository.git_dir(), slot),
        writer_(std::move(writer)) {}

  Result<Stage::Moved> run() {
    SB_CHECK(look());
    SB_CHECK(compare());
    if (has_work()) {
      // Recorded before the first file is touched: after a crash nothing in the tree may be believed.
      SB_CHECK(note(SlotState::Kind::moving));
      SB_CHECK(remove_files());
      SB_CHECK(write_files());
      SB_CHECK(worktree_.write(source_.commit));
      SB_CHECK(worktree_.write_index(target_, states_));
      SB_CHECK(note(SlotState::Kind::holds));
    } else {
      SB_CHECK(worktree_.write(source_.commit));
    }
    return std::move(moved_);
  }

 private:
  Status look() {
    state_ = read_slot_state(slot_);
    SB_TRY(target_, list_tree(repository_.handle(), source_.tree));
    for (const auto& [path, entry] : target_) SB_CHECK(check_structure(path));
    // An index is believed only for the tree and the repository that the state names.
    settled_ = state_.kind == SlotState::Kind::holds && state_.repository == repository_.git_dir();
    if (settled_) index_ = worktree_.read_index();
    TreeListing known = target_;
    for (const auto& [path, file] : index_.files) known.emplace(path, file.entry);
    SB_TRY(scan_, scan_tree(writer_, known));
    moved_.recovered =
        state_.kind == SlotState::Kind::moving || (settled_ && index_.files.empty() && !target_.empty());
    return {};
  }

  // Sorts every path into: right as it is, to be written, to be removed.
  Status compare() {
    for (const auto& [path, entry] : target_) {
      if (entry.mode == kModeGitlink) {
        to_write_.push_back(path);
        moved_.notes.push_back(
            fmt::format("submodule {} is not staged: its folder is empty", printable(path)));
        continue;
      }
      SB_TRY(const bool right, is_right(path, entry));
      if (right) {
        states_.emplace(path, scan_.files.at(path));
      } else {
        to_write_.push_back(path);
      }
    }
    for (const auto& [path, file] : index_.files) {
      if (!target_.contains(path)) to_remove_.push_back(path);
    }
    return {};
  }

  Result<bool> is_right(const std::string& path, const TreeEntry& wanted) {
    const auto found = scan_.files.find(path);
    const auto indexed = index_.files.find(path);
    const bool was_held = indexed != index_.files.end();
    if (found == scan_.files.end()) {
      if (was_held) moved_.recovered = true;  // somebody deleted it
      return false;
    }
    if (was_held && is_unchanged(indexed->second, found->second, index_.written_ns))
      return indexed->second.entry == wanted;
    // By stat it may be anything: only its bytes can say. It needs a new index entry in any case.
    index_changed_ = true;
    SB_TRY(const std::string id,
           id_on_disk(path, found->second, was_held ? indexed->second.entry : wanted, wanted));
    if (was_held &&
        (id != indexed->second.entry.id || !has_mode(found->second, indexed->second.entry.mode))) {
      moved_.recovered = true;
    }
    return id == wanted.id && has_mode(found->second, wanted.mode);
  }

  // Empty when the size alone shows that it is neither of the two blobs.
  Result<std::string> id_on_disk(const std::string& path, const struct stat& info, const TreeEntry& held,
                                 const TreeEntry& wanted) {
    bool may_be_one = false;
    for (const TreeEntry* entry : {&held, &wanted}) {
      if (entry->mode == kModeGitlink) continue;
      SB_TRY(const std::size_t size, blob_size(repository_.handle(), entry->id));
      may_be_one = may_be_one || size == static_cast<std::size_t>(info.st_size);
    }
    if (!may_be_one) return std::string();
    const auto bytes = writer_.read(path);
    return bytes ? blob_id(*bytes) : std::string();
  }

  static bool has_mode(const struct stat& info, unsigned mode) {
    if (mode == kModeSymlink) return S_ISLNK(info.st_mode);
    return S_ISREG(info.st_mode) && (info.st_mode & 07777U) == (mode & 0777U);
  }

  [[nodiscard]] bool has_work() const {
    const bool only_submodules = to_write_.size() == moved_.notes.size();
    const auto link = writer_.read(kLink);
    return !settled_ || state_.tree != source_.tree || !only_submodules || !to_remove_.empty() ||
           !scan_.strangers.empty() || index_changed_ || index_.files.size() != target_.size() || !link ||
           *link != worktree_.link_text() || submodule_is_missing();
  }

  [[nodiscard]] bool submodule_is_missing() const {
    for (const auto& [path, entry] : target_) {
      if (entry.mode == kModeGitlink && !writer_.open_folder(path)) return true;
    }
    return false;
  }

  Status remove_files() {
    for (const std::string& path : scan_.strangers) {
      SB_CHECK(writer_.remove(path));
      ++moved_.removed;
      moved_.recovered = moved_.recovered || settled_;
    }
    for (const std::string& path : to_remove_) {
      if (scan_.files.contains(path)) ++moved_.removed;
      SB_CHECK(writer_.remove(path));
    }
    return {};
  }

  Status write_files() {
    std::vector<BlobReader::Wanted> wanted;
    for (const std::string& path : to_write_) {
      const TreeEntry& entry = target_.at(path);
      if (entry.mode != kModeGitlink) wanted.push_back({.id = entry.id, .path = path});
    }
    BlobReader blobs(repository_.handle(), std::move(wanted));
    for (const std::string& path : to_write_) {
      const TreeEntry& entry = target_.at(path);
      if (entry.mode == kModeGitlink) {
        SB_TRY(const struct stat info, writer_.make_folder(path));
        states_.emplace(path, info);
        continue;
      }
      SB_TRY(const std::string bytes, blobs.next());
      SB_TRY(const struct stat info, entry.mode == kModeSymlink
                                         ? writer_.write_symlink(path, bytes)
                                         : writer_.write_file(path, bytes, entry.mode == kModeExecutable));
      states_.emplace(path, info);
      ++moved_.written;
    }
    const auto link = writer_.read(kLink);
    if (!link || *link != worktree_.link_text())
      SB_CHECK(writer_.write_file(kLink, worktree_.link_text(), false));
    return {};
  }

  Status note(SlotState::Kind kind) {
    return write_slot_state(
        slot_, {.kind = kind, .tree = source_.tree, .repository = repository_.git_dir().string()});
  }

  Repository& repository_;
  const Source& source_;
  const fs::path& slot_;
  WorktreeFiles worktree_;
  TreeWriter writer_;

  SlotState state_;
  bool settled_ = false;  // the slot holds a known tree of this repository
  TreeListing target_;
  StageIndex index_;
  TreeScan scan_;
  bool index_changed_ = false;
  std::vector<std::string> to_write_;
  std::vector<std::string> to_remove_;
  std::map<std::string, struct stat> states_;  // for the new index
  Stage::Moved moved_;
};

}  // namespace

Result<Stage::Moved> move_slot(Repository& repository, const Source& source, const fs::path& slot) {
  // The two folders themselves may have been replaced by symlinks, too.
  SB_TRY(TreeWriter slot_writer, TreeWriter::open(slot));
  SB_TRY(const UniqueFd slot_folder, slot_writer.open_folder(""));
  for (const char* name : {"tree", "build"}) {
    give_back_permissions(slot_folder.get(), name);
    SB_CHECK(slot_writer.make_folder(name));
  }
  SB_TRY(TreeWriter writer, TreeWriter::open(slot / "tree"));
  return doing(fmt::format("moving {} to {}", slot.filename().string(), source.commit.substr(0, 12)),
               SlotMove(repository, source, slot, std::move(writer)).run());
}

}  // namespace sb::staging
