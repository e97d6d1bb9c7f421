#include "staging/tree_writer.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/file_system.h"
#include "staging/folder_removal.h"
#include "staging/path_names.h"

namespace sb::staging {
namespace {

constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// "a/b/c" into "a/b" and "c"; the folder of "c" is "".
std::pair<std::string, std::string> divide(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

int open_with_openat2(int root, const std::string& path) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(kFolderFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  while (true) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    // EAGAIN: somebody renamed while the kernel resolved; it could not be sure, so it asks to be called
    // again.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

int open_by_component(int root, const std::string& path) {
  UniqueFd at(::openat(root, ".", kFolderFlags));
  for (const std::string_view part : split_path(path)) {
    if (!at) return -1;
    UniqueFd next(::openat(at.get(), std::string(part).c_str(), kFolderFlags));
    if (!next) return -1;
    at = std::move(next);
  }
  return at.release();
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error("write failed"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// A new file: its bytes, its time, and its mode whatever the umask.
Status fill(int fd, std::string_view bytes, mode_t mode, struct stat& info) {
  SB_CHECK(write_all(fd, bytes));
  constexpr timespec kOld = {.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0};
  constexpr timespec kTimes[] = {kOld, kOld};
  if (::futimens(fd, kTimes) != 0) return fail(errno_error("cannot set its time"));
  if (::fstat(fd, &info) != 0) return fail(errno_error("cannot look at it"));
  if ((info.st_mode & 07777) == mode) return {};
  if (::fchmod(fd, mode) != 0) return fail(errno_error("cannot set its mode"));
  if (::fstat(fd, &info) != 0) return fail(errno_error("cannot look at it"));
  return {};
}

std::unexpected<Error> cannot(std::string_view verb, const std::string& path) {
  return fail(errno_error(fmt::format("cannot {} {} in the stage", verb, printable(path))));
}

}  // namespace

Result<TreeWriter> TreeWriter::open(const std::filesystem::path& folder, Resolve resolve) {
  UniqueFd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return fail(errno_error(fmt::format("cannot open the folder {}", folder.string())));
  return TreeWriter(std::move(root), resolve == Resolve::detect);
}

int TreeWriter::open_beneath(const std::string& path) const {
  if (path.empty()) return ::openat(root_.get(), ".", kFolderFlags);
  if (use_openat2_) {
    const int fd = open_with_openat2(root_.get(), path);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
    use_openat2_ = false;
  }
  return open_by_component(root_.get(), path);
}

Result<int> TreeWriter::folder_for_writing(const std::string& path) {
  if (!last_folder_ || path != last_path_) {
    SB_TRY(last_folder_, open_for_writing(path));
    last_path_ = path;
  }
  return last_folder_.get();
}

Result<UniqueFd> TreeWriter::open_for_writing(const std::string& path) {
  UniqueFd straight(open_beneath(path));
  if (straight) return straight;
  // Something is missing or in the way: go down step by step, and put it right. Each step opens what it has
  // just looked at by O_NOFOLLOW, so a symlink that is planted meanwhile fails the step instead of being
  // followed.
  UniqueFd at(::openat(root_.get(), ".", kFolderFlags));
  for (const std::string_view part : split_path(path)) {
    const std::string name(part);
    UniqueFd next(::openat(at.get(), name.c_str(), kFolderFlags));
    if (!next) {
      if (errno != ENOENT) SB_CHECK(remove_entry(at.get(), name));
      if (::mkdirat(at.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
        return cannot("make the folder", path);
      next = UniqueFd(::openat(at.get(), name.c_str(), kFolderFlags));
    }
    if (!next) return cannot("open the folder", path);
    at = std::move(next);
  }
  return at;
}

std::string TreeWriter::temporary_name() {
  return fmt::format(".selfbuild-{}-{}", ::getpid(), counter_++);
}

// Gives the temporary its name. rename(2) replaces a symlink or a file, but not a folder.
Result<struct stat> TreeWriter::put(int folder, const std::string& temporary, const std::string& path) {
  const std::string name = divide(path).second;
  int code = ::renameat(folder, temporary.c_str(), folder, name.c_str());
  if (code != 0 && (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)) {
    SB_CHECK(remove_entry(folder, name));
    code = ::renameat(folder, temporary.c_str(), folder, name.c_str());
  }
  struct stat info{};
  if (code == 0) code = ::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
  if (code != 0) {
    const Error error = errno_error(fmt::format("cannot write {} in the stage", printable(path)));
    ::unlinkat(folder, temporary.c_str(), 0);
    return fail(error);
  }
  return info;
}

Result<struct stat> TreeWriter::write_file(const std::string& path, std::string_view bytes, bool executable) {
  const auto [above, name] = divide(path);
  SB_TRY(const int folder, folder_for_writing(above));
  constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const mode_t mode = executable ? 0755 : 0644;
  // Where nothing is, nothing is replaced: most files of a new stage.
  UniqueFd file(::openat(folder, name.c_str(), kNew, mode));
  const bool is_new = file.valid();
  const std::string temporary = is_new ? name : temporary_name();
  if (!is_new) {
    ::unlinkat(folder, temporary.c_str(), 0);  // of an earlier process with our pid
    file = UniqueFd(::openat(folder, temporary.c_str(), kNew, mode));
  }
  if (!file) return cannot("create", path);
  struct stat info{};
  Status written = fill(file.get(), bytes, mode, info);
  if (!written) {
    ::unlinkat(folder, temporary.c_str(), 0);
    return fail(std::move(written.error()).doing(fmt::format("writing {} into the stage", printable(path))));
  }
  if (is_new) return info;
  return put(folder, temporary, path);
}

Result<struct stat> TreeWriter::write_symlink(const std::string& path, const std::string& target) {
  SB_TRY(const int folder, folder_for_writing(divide(path).first));
  const std::string temporary = temporary_name();
  ::unlinkat(folder, temporary.c_str(), 0);
  if (::symlinkat(target.c_str(), folder, temporary.c_str()) != 0) return cannot("create the symlink", path);
  return put(folder, temporary, path);
}

Result<struct stat> TreeWriter::make_folder(const std::string& path) {
  SB_TRY(const int folder, folder_for_writing(path));
  struct stat info{};
  if (::fstat(folder, &info) != 0) return cannot("look at", path);
  return info;
}

Status TreeWriter::remove(const std::string& path) {
  last_folder_.reset();  // it may be the one that goes
  auto [above, name] = divide(path);
  UniqueFd folder(open_beneath(above));
  // Without a real folder above it, nothing of ours is there.
  if (!folder && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == EXDEV)) return {};
  if (!folder) return cannot("look for", path);
  SB_CHECK(remove_entry(folder.get(), name));
  while (!above.empty()) {
    const auto [next_above, folder_name] = divide(above);
    const UniqueFd parent(open_beneath(next_above));
    // Not empty, or gone already: the rest stays.
    if (!parent || ::unlinkat(parent.get(), folder_name.c_str(), AT_REMOVEDIR) != 0) break;
    above = next_above;
  }
  return {};
}

Status TreeWriter::remove_entry(int folder, const std::string& name) {
  return remove_below(root_.get(), folder, name);
}

Result<std::string> TreeWriter::read(const std::string& path) const {
  const auto [above, name] = divide(path);
  const UniqueFd folder(open_beneath(above));
  struct stat info{};
  const auto missing = [&] {
    return fail(ErrorKind::not_found, fmt::format("there is no file {} in the stage", printable(path)));
  };
  if (!folder || ::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return missing();
  std::string bytes;
  if (S_ISLNK(info.st_mode)) {
    bytes.resize(4096);
    const ssize_t n = ::readlinkat(folder.get(), name.c_str(), bytes.data(), bytes.size());
    if (n < 0) return missing();
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
  }
  if (!S_ISREG(info.st_mode)) return missing();
  // O_NONBLOCK: should it become a FIFO between the look and the open, we must not wait for its writer.
  const UniqueFd file(::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return missing();
  std::array<char, 64 * 1024> block{};
  while (true) {
    const ssize_t n = ::read(file.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("read", path);
    if (n == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(n));
  }
}

Result<UniqueFd> TreeWriter::open_folder(const std::string& path) const {
  const UniqueFd place(open_beneath(path));
  if (!place) return cannot("open the folder", path);
  // O_PATH cannot be listed; "." of it can, and is the same folder.
  UniqueFd folder(::openat(place.get(), ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return cannot("list the folder", path);
  return folder;
}

}  // namespace sb::staging
