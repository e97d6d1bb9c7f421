#include "tool/conductor/instance_lock.h"

#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::tool {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Result<InstanceLock> InstanceLock::take(const std::filesystem::path& path, milliseconds patience) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  const auto give_up = steady_clock::now() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return fail(errno_error(fmt::format("cannot lock {}", path.string())));
    if (steady_clock::now() >= give_up) {
      const std::string pid(trim(os::read_file(path).value_or("")));
      return fail(
          ErrorKind::conflict,
          fmt::format("a conductor already runs for this home: pid {}", pid.empty() ? "unknown" : pid),
          "selfbuild conductor status");
    }
    std::this_thread::sleep_for(milliseconds(5));  // flock has no timeout of its own
  }
  // As long as any other one: what was there need not be cut off, for which the disk may have to wait.
  const std::string pid = fmt::format("{:<10}\n", ::getpid());
  if (::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    return fail(errno_error(fmt::format("cannot write {}", path.string())));
  }
  return InstanceLock(std::move(fd));
}

int InstanceLock::inherited() const {
  ::fcntl(fd_.get(), F_SETFD, 0);
  return fd_.get();
}

}  // namespace sb::tool
