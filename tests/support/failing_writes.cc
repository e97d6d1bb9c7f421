#include "support/failing_writes.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace sb::tests {
namespace {

struct Plan {
  std::string below;
  int nth = 0;
  int error = 0;
  FailingWrites::Lasts lasts = FailingWrites::Lasts::once;
  int writes = 0;
  std::string failed;
};

std::atomic<bool> armed = false;
std::mutex mutex;
Plan plan;

// True when this one is to fail; errno is set then.
bool fails(const char* call, std::string_view path) {
  const std::lock_guard lock(mutex);
  if (!armed || !path.starts_with(plan.below)) return false;
  ++plan.writes;
  const bool later = plan.lasts == FailingWrites::Lasts::from_then_on && plan.writes > plan.nth;
  if (plan.nth == 0 || (plan.writes != plan.nth && !later)) return false;
  if (plan.failed.empty()) plan.failed = fmt::format("{} of {}", call, path.substr(plan.below.size()));
  errno = plan.error;
  return true;
}

std::string path_of(int fd) {
  std::array<char, 4096> path{};
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  const auto length = ::syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

bool fails_at(const char* call, int fd) {
  return armed && fails(call, path_of(fd));
}

bool fails_at(const char* call, int folder, const char* path) {
  if (!armed) return false;
  if (path[0] == '/') return fails(call, path);
  return fails(
      call, (folder == AT_FDCWD ? std::filesystem::current_path().string() : path_of(folder)) + "/" + path);
}

// What the C library's wrappers make of the kernel's answer.
template <typename... Arguments>
auto kernel(long number, Arguments... arguments) {
  return ::syscall(number, arguments...);
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  if ((flags & (O_CREAT | O_TRUNC)) != 0 && fails_at("open", folder, path)) return -1;
  return static_cast<int>(kernel(SYS_openat, folder, path, flags, mode));
}

}  // namespace

FailingWrites::FailingWrites(std::filesystem::path below, int nth, int error, Lasts lasts) {
  const std::lock_guard lock(mutex);
  if (armed) std::abort();  // one at a time
  plan = {.below = std::move(below).string(),
          .nth = nth,
          .error = error,
          .lasts = lasts,
          .writes = 0,
          .failed = {}};
  armed = true;
}

FailingWrites::~FailingWrites() {
  armed = false;
}

int FailingWrites::writes() const {
  const std::lock_guard lock(mutex);
  return plan.writes;
}

std::string FailingWrites::failed() const {
  const std::lock_guard lock(mutex);
  return plan.failed;
}

}  // namespace sb::tests

// The names and the reserved words of their parameters are the C library's.
// NOLINTBEGIN
using sb::tests::fails_at;
using sb::tests::kernel;
using sb::tests::open_file;

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(folder, path, flags, mode);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  return fails_at("write", fd) ? -1 : kernel(SYS_write, fd, bytes, size);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  return fails_at("writev", fd) ? -1 : kernel(SYS_writev, fd, parts, count);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return fails_at("pwrite", fd) ? -1 : kernel(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return fails_at("pwrite", fd) ? -1 : kernel(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t size, unsigned flags) {
  return fails_at("copy_file_range", to) ? -1
                                         : kernel(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
}
int ftruncate(int fd, off_t size) noexcept {
  return fails_at("ftruncate", fd) ? -1 : static_cast<int>(kernel(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  return fails_at("ftruncate", fd) ? -1 : static_cast<int>(kernel(SYS_ftruncate, fd, size));
}
int fsync(int fd) {
  return fails_at("fsync", fd) ? -1 : static_cast<int>(kernel(SYS_fsync, fd));
}
int fdatasync(int fd) {
  return fails_at("fdatasync", fd) ? -1 : static_cast<int>(kernel(SYS_fdatasync, fd));
}
int mkdir(const char* path, mode_t mode) noexcept {
  return fails_at("mkdir", AT_FDCWD, path) ? -1 : static_cast<int>(kernel(SYS_mkdirat, AT_FDCWD, path, mode));
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  return fails_at("mkdir", folder, path) ? -1 : static_cast<int>(kernel(SYS_mkdirat, folder, path, mode));
}
int rename(const char* from, const char* to) noexcept {
  return fails_at("rename", AT_FDCWD, to)
             ? -1
             : static_cast<int>(kernel(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0U));
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return fails_at("rename", to_folder, to)
             ? -1
             : static_cast<int>(kernel(SYS_renameat2, from_folder, from, to_folder, to, 0U));
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return fails_at("rename", to_folder, to)
             ? -1
             : static_cast<int>(kernel(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
int link(const char* from, const char* to) noexcept {
  return fails_at("link", AT_FDCWD, to)
             ? -1
             : static_cast<int>(kernel(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return fails_at("link", to_folder, to)
             ? -1
             : static_cast<int>(kernel(SYS_linkat, from_folder, from, to_folder, to, flags));
}
int symlink(const char* text, const char* path) noexcept {
  return fails_at("symlink", AT_FDCWD, path) ? -1
                                             : static_cast<int>(kernel(SYS_symlinkat, text, AT_FDCWD, path));
}
int symlinkat(const char* text, int folder, const char* path) noexcept {
  return fails_at("symlink", folder, path) ? -1 : static_cast<int>(kernel(SYS_symlinkat, text, folder, path));
}
int utimensat(int folder, const char* path, const struct timespec times[2], int flags) noexcept {
  return fails_at("utimensat", folder, path)
             ? -1
             : static_cast<int>(kernel(SYS_utimensat, folder, path, times, flags));
}
int futimens(int fd, const struct timespec times[2]) noexcept {
  return fails_at("futimens", fd) ? -1 : static_cast<int>(kernel(SYS_utimensat, fd, nullptr, times, 0));
}
int fchmod(int fd, mode_t mode) noexcept {
  return fails_at("fchmod", fd) ? -1 : static_cast<int>(kernel(SYS_fchmod, fd, mode));
}

}  // extern "C"
// NOLINTEND
