#include "update/gc_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

namespace sb::update {
namespace {

Result<UniqueFd> open_lock(const os::Home& home) {
  const std::filesystem::path path = home.state() / "gc.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  return fd;
}

}  // namespace

Result<UniqueFd> keep_gc_away(const os::Home& home) {
  SB_TRY(UniqueFd fd, open_lock(home));
  while (::flock(fd.get(), LOCK_SH) != 0) {
    if (errno != EINTR) return fail(errno_error("cannot lock gc.lock"));
  }
  return fd;
}

Result<std::optional<UniqueFd>> lock_for_gc(const os::Home& home) {
  SB_TRY(UniqueFd fd, open_lock(home));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return std::optional(std::move(fd));
  if (errno == EWOULDBLOCK) return std::nullopt;
  return fail(errno_error("cannot lock gc.lock"));
}

}  // namespace sb::update
