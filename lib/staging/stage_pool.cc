#include "staging/stage_pool.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "os/file_system.h"
#include "staging/git_handles.h"
#include "staging/slot_state.h"
#include "staging/stage_move.h"
#include "staging/tree_writer.h"
#include "staging/worktree_files.h"

namespace sb::staging {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kFar = std::numeric_limits<std::size_t>::max();

fs::path slot_folder(const fs::path& root, int slot) {
  return root / fmt::format("slot-{}", slot);
}

// The number of files that differ; kFar when the slot holds nothing that is known.
std::size_t distance(const Repository& repository, const SlotState& state, const Source& source) {
  if (state.kind != SlotState::Kind::holds || state.repository != repository.git_dir()) return kFar;
  if (state.tree == source.tree) return 0;
  git_repository* const handle = repository.handle().get();
  const auto from = parse_id(state.tree);
  const auto to = parse_id(source.tree);
  git_tree* from_tree = nullptr;
  git_tree* to_tree = nullptr;
  if (!from || !to || git_tree_lookup(&from_tree, handle, &*from) != 0)
    return kFar;  // collected by git meanwhile
  const GitTree owned_from(from_tree);
  if (git_tree_lookup(&to_tree, handle, &*to) != 0) return kFar;
  const GitTree owned_to(to_tree);
  git_diff* made = nullptr;
  if (git_diff_tree_to_tree(&made, handle, from_tree, to_tree, nullptr) != 0) return kFar;
  const GitDiff diff(made);
  return git_diff_num_deltas(diff.get());
}

// Nothing when somebody else holds the slot.
Result<std::optional<UniqueFd>> try_lock(const fs::path& slot) {
  const fs::path path = slot / "lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return std::optional(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<UniqueFd>();
  return fail(errno_error(fmt::format("cannot lock {}", path.string())));
}

std::optional<int> slot_number(const fs::path& folder) {
  const std::string name = folder.filename().string();
  constexpr std::string_view kPrefix = "slot-";
  int number = 0;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const char* const end = name.data() + name.size();
  const auto [stop, code] = std::from_chars(name.data() + kPrefix.size(), end, number);
  if (code != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

Result<Stage> StagePool::acquire(Repository& repository, const Source& source) {
  const fs::path root = fs::absolute(root_);
  struct Choice {
    std::size_t distance;
    int slot;
    auto operator<=>(const Choice&) const = default;
  };
  std::vector<Choice> choices;
  for (int slot = 0; slot < slots_; ++slot) {
    const fs::path folder = slot_folder(root, slot);
    SB_CHECK(os::make_folders(folder));
    choices.push_back({.distance = distance(repository, read_slot_state(folder), source), .slot = slot});
  }
  // Read without the locks: a slot that moves meanwhile costs a few more files, nothing else.
  std::ranges::sort(choices);
  for (const Choice& choice : choices) {
    const fs::path folder = slot_folder(root, choice.slot);
    SB_TRY(std::optional<UniqueFd> lock, try_lock(folder));
    if (!lock) continue;
    Stage stage;
    stage.slot_ = choice.slot;
    stage.tree_ = folder / "tree";
    stage.build_ = folder / "build";
    stage.lock_ = std::move(*lock);
    SB_TRY(stage.moved_, move_slot(repository, source, folder));
    return stage;
  }
  return fail(ErrorKind::conflict,
              fmt::format("all {} stages in {} are in use by other cycles", slots_, root.string()),
              "selfbuild status");
}

Status StagePool::clear(Repository& repository) {
  const fs::path root = fs::absolute(root_);
  std::error_code code;
  // Also slots of a pool that was larger once.
  for (const fs::directory_entry& entry : fs::directory_iterator(root, code)) {
    if (!slot_number(entry.path()) || entry.is_symlink()) continue;
    SB_TRY(const std::optional<UniqueFd> lock, try_lock(entry.path()));
    if (!lock) continue;
    // The lock file stays: somebody may be waiting to lock this very inode.
    SB_TRY(TreeWriter writer, TreeWriter::open(entry.path()));
    SB_CHECK(WorktreeFiles(repository.git_dir(), entry.path()).remove());
    for (const char* name : {"state", "tree", "build"}) SB_CHECK(writer.remove(name));
  }
  if (code && code != std::errc::no_such_file_or_directory) {
    return fail(errno_error(fmt::format("cannot list {}", root.string()), code.value()));
  }
  return {};
}

}  // namespace sb::staging
