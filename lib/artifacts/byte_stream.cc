#include "artifacts/byte_stream.h"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "os/file_system.h"

namespace sb::artifacts {

namespace fs = std::filesystem;

// Every descriptor here is CLOEXEC. A child that another thread forks still holds them until its exec, and
// while it holds a write descriptor of a program, starting that program fails with ETXTBSY: so they are
// closed early.

Result<UniqueFd> open_regular(const fs::path& path) {
  // NONBLOCK: opening a pipe must not wait for a writer; it has no effect on regular files.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int code = errno;
    Error error = errno_error(fmt::format("cannot read {}", path.string()), code);
    if (code == ENOENT) error.kind = ErrorKind::not_found;
    return fail(std::move(error));
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0)
    return fail(errno_error(fmt::format("cannot look at {}", path.string())));
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::refused, fmt::format("{} is not a regular file", path.string()));
  }
  return fd;
}

Result<DigestStream::Digests> stream(int in, int out) {
  constexpr std::size_t kBlock = std::size_t{256} * 1024;
  std::vector<char> block(kBlock);
  DigestStream digests;
  while (true) {
    const ssize_t n = ::read(in, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error("read failed"));
    if (n == 0) return digests.finish();
    const std::string_view bytes(block.data(), static_cast<std::size_t>(n));
    digests.update(bytes);
    if (out >= 0) SB_CHECK(write_all(out, bytes));
  }
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

Status seal(int fd, unsigned mode, const fs::path& path) {
  if (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0) {
    return fail(errno_error(fmt::format("cannot sync {}", path.string())));
  }
  return {};
}

Status make_folder_durably(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail(errno_error(fmt::format("cannot create folder {}", folder.string())));
  }
  // Also when it was there: another process may have made it a moment ago and not have synced it yet.
  return os::sync_folder(folder.parent_path());
}

Result<Incoming> Incoming::make(const fs::path& folder) {
  std::string name = (folder / fmt::format("{}XXXXXX", kIncomingPrefix)).string();
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return fail(errno_error(fmt::format("cannot create a file in {}", folder.string())));
  return Incoming(fs::path(name), std::move(fd));
}

Incoming::~Incoming() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<UniqueFd> lock_store(const fs::path& folder, bool alone) {
  const fs::path path = folder / "lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  while (::flock(fd.get(), alone ? LOCK_EX : LOCK_SH) != 0) {
    if (errno != EINTR) return fail(errno_error(fmt::format("cannot lock {}", path.string())));
  }
  return fd;
}

}  // namespace sb::artifacts
