#include "build/second_folder.h"

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifacts/byte_stream.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr int kMostAtOnce = 64;
constexpr unsigned kPermissions = 07777;

// A clone of the extents where the file system has them, else the kernel's own copy, else ours.
Status copy_bytes(int from, int to, off_t size) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  off_t copied = 0;
  while (copied < size) {
    const ssize_t n =
        ::copy_file_range(from, nullptr, to, nullptr, static_cast<std::size_t>(size - copied), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && copied > 0) return fail(errno_error("cannot copy"));
    if (n <= 0) break;
    copied += n;
  }
  if (copied == size || copied > 0) return {};
  SB_CHECK(artifacts::stream(from, to));
  return {};
}

Status copy_file(const fs::path& from, const fs::path& to, const struct stat& info) {
  const UniqueFd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!source) return fail(errno_error(fmt::format("cannot read {}", from.string())));
  const UniqueFd copy(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!copy) return fail(errno_error(fmt::format("cannot create {}", to.string())));
  SB_CHECK(
      doing(fmt::format("copying {}", from.string()), copy_bytes(source.get(), copy.get(), info.st_size)));
  const timespec times[] = {info.st_atim, info.st_mtim};
  if (::fchmod(copy.get(), (info.st_mode & kPermissions) | S_IWUSR) == 0 &&
      ::futimens(copy.get(), times) == 0)
    return {};
  return fail(errno_error(fmt::format("cannot set mode and time of {}", to.string())));
}

Status copy_link(const fs::path& from, const fs::path& to, const struct stat& info) {
  SB_TRY(const fs::path target, os::read_link(from));
  const timespec times[] = {info.st_atim, info.st_mtim};
  if (::symlink(target.c_str(), to.c_str()) == 0 &&
      ::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0)
    return {};
  return fail(errno_error(fmt::format("cannot create the symlink {}", to.string())));
}

// Folders get their times last: what is put into them changes those.
struct Folder {
  fs::path path;
  struct stat info{};
};

Status copy_entry(const fs::path& from, const fs::path& to, std::vector<Folder>& folders) {
  struct stat info{};
  if (::lstat(from.c_str(), &info) != 0)
    return fail(errno_error(fmt::format("cannot look at {}", from.string())));
  if (S_ISREG(info.st_mode)) return copy_file(from, to, info);
  if (S_ISLNK(info.st_mode)) return copy_link(from, to, info);
  if (!S_ISDIR(info.st_mode)) return {};
  if (::mkdir(to.c_str(), (info.st_mode & kPermissions) | S_IRWXU) != 0)
    return fail(errno_error(fmt::format("cannot create {}", to.string())));
  folders.push_back({.path = to, .info = info});
  return {};
}

}  // namespace

Result<SecondFolder> SecondFolder::make(const fs::path& cache) {
  SB_CHECK(os::make_folders(cache));
  for (int i = 0; i < kMostAtOnce; ++i) {
    const fs::path folder = cache / fmt::format("verify-{}", i);
    const std::string name = folder.string() + ".lock";
    UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!lock) return fail(errno_error(fmt::format("cannot open {}", name)));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    SB_CHECK(os::remove_tree(folder));
    SB_CHECK(os::make_folders(folder));
    return SecondFolder(folder, std::move(lock));
  }
  return fail(ErrorKind::conflict, fmt::format("{} builds are being verified already", kMostAtOnce));
}

SecondFolder::~SecondFolder() {
  if (lock_) (void)os::remove_tree(path_);  // what stays, the next one removes
}

Status copy_tree(const fs::path& from, const fs::path& to) {
  std::vector<Folder> folders;
  SB_CHECK(os::make_folders(to.parent_path()));
  SB_CHECK(copy_entry(from, to, folders));
  std::error_code code;
  fs::recursive_directory_iterator it(from, code);
  for (const fs::recursive_directory_iterator end; !code && it != end; it.increment(code))
    SB_CHECK(copy_entry(it->path(), to / it->path().lexically_relative(from), folders));
  if (code) return fail(errno_error(fmt::format("cannot list {}", from.string()), code.value()));
  for (const Folder& folder : std::views::reverse(folders)) {
    const timespec times[] = {folder.info.st_atim, folder.info.st_mtim};
    if (::utimensat(AT_FDCWD, folder.path.c_str(), times, 0) != 0)
      return fail(errno_error(fmt::format("cannot set the time of {}", folder.path.string())));
  }
  return {};
}

}  // namespace sb::build
