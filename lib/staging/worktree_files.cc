#include "staging/worktree_files.h"

#include <atomic>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

#include "base/digest.h"
#include "os/file_system.h"
#include "staging/git_handles.h"

namespace sb::staging {
namespace fs = std::filesystem;
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}
std::int64_t nanoseconds(const git_index_time& time) {
  return std::int64_t{time.seconds} * 1'000'000'000 + std::int64_t{time.nanoseconds};
}

git_index_time index_time(const timespec& time) {
  return {.seconds = static_cast<std::int32_t>(time.tv_sec),
          .nanoseconds = static_cast<std::uint32_t>(time.tv_nsec)};
}

// By rename, so that a git command that reads it meanwhile sees the old or the new text.
Status write_if_different(const fs::path& path, const std::string& text) {
  if (const auto now = os::read_file(path); now && *now == text) return {};
  static std::atomic<unsigned> counter{0};
  const fs::path temporary = fmt::format("{}.{}.{}", path.string(), ::getpid(), counter++);
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  if (!file.good()) return fail(errno_error(fmt::format("cannot write {}", temporary.string())));
  std::error_code code;
  fs::rename(temporary, path, code);
  if (code) return fail(errno_error(fmt::format("cannot write {}", path.string()), code.value()));
  return {};
}

}  // namespace

WorktreeFiles::WorktreeFiles(const fs::path& git_dir, const fs::path& slot) : slot_(slot) {
  // Two pools (two users of one repository, or a test's) must not share a name.
  const std::string digest = xxh3_128_hex(slot.parent_path().string()).substr(0, 8);
  folder_ = git_dir / "worktrees" / fmt::format("selfbuild-{}-{}", digest, slot.filename().string());
}

Status WorktreeFiles::write(const std::string& commit) const {
  SB_CHECK(os::make_folders(folder_));
  SB_CHECK(write_if_different(folder_ / "commondir", "../..\n"));
  SB_CHECK(write_if_different(folder_ / "gitdir", fmt::format("{}\n", (slot_ / "tree" / ".git").string())));
  SB_CHECK(
      write_if_different(folder_ / "locked", "a stage of selfbuild: it is moved from commit to commit\n"));
  return write_if_different(folder_ / "HEAD", commit + "\n");
}

std::string WorktreeFiles::link_text() const {
  return fmt::format("gitdir: {}\n", folder_.string());
}

StageIndex WorktreeFiles::read_index() const {
  StageIndex result;
  const fs::path path = folder_ / "index";
  struct stat info{};
  git_index* opened = nullptr;
  if (::stat(path.c_str(), &info) != 0 || git_index_open(&opened, path.c_str()) != 0) return result;
  const GitIndex index(opened);
  result.written_ns = nanoseconds(info.st_mtim);
  for (std::size_t i = 0; i < git_index_entrycount(opened); ++i) {
    const git_index_entry* entry = git_index_get_byindex(opened, i);
    result.files.emplace(entry->path, IndexedFile{.entry = {.mode = entry->mode, .id = hex(entry->id)},
                                                  .mtime_ns = nanoseconds(entry->mtime),
                                                  .ctime_ns = nanoseconds(entry->ctime),
                                                  .size = entry->file_size,
                                                  .inode = entry->ino});
  }
  return result;
}

Status WorktreeFiles::write_index(const TreeListing& tree,
                                  const std::map<std::string, struct stat>& states) const {
  SB_CHECK(os::make_folders(folder_));
  const fs::path path = folder_ / "index";
  // Made anew: whatever a git command or a broken disk put into the old one is of no interest.
  std::error_code ignored;
  fs::remove(path, ignored);
  fs::remove(folder_ / "index.lock", ignored);  // of a git command that was killed in the stage
  git_index* opened = nullptr;
  int code = git_index_open(&opened, path.c_str());
  const GitIndex index(opened);
  for (const auto& [name, entry] : tree) {
    const auto state = states.find(name);
    if (state == states.end()) return fail(ErrorKind::bug, fmt::format("no file was noted for {}", name));
    SB_TRY(const git_oid id, parse_id(entry.id));
    const struct stat& info = state->second;
    git_index_entry added{};
    added.ctime = index_time(info.st_ctim);
    added.mtime = index_time(info.st_mtim);
    added.dev = static_cast<std::uint32_t>(info.st_dev);
    added.ino = static_cast<std::uint32_t>(info.st_ino);
    added.mode = entry.mode;
    added.uid = info.st_uid;
    added.gid = info.st_gid;
    added.file_size = static_cast<std::uint32_t>(info.st_size);
    added.id = id;
    added.path = name.c_str();
    if (code == 0) code = git_index_add(index.get(), &added);
  }
  if (code == 0) code = git_index_write(index.get());
  if (code != 0) return fail(from_libgit2(fmt::format("cannot write {}", path.string()), code));
  return {};
}

Status WorktreeFiles::remove() const {
  return os::remove_tree(folder_);
}

bool is_unchanged(const IndexedFile& file, const struct stat& info, std::int64_t index_written_ns) {
  const bool same_type = file.entry.mode == kModeSymlink ? S_ISLNK(info.st_mode) : S_ISREG(info.st_mode);
  return same_type && file.mtime_ns == nanoseconds(info.st_mtim) &&
         file.ctime_ns == nanoseconds(info.st_ctim) &&
         file.size == static_cast<std::uint32_t>(info.st_size) &&
         file.inode == static_cast<std::uint32_t>(info.st_ino) && file.ctime_ns < index_written_ns;
}

}  // namespace sb::staging
