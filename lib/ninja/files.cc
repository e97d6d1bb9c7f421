#include "ninja/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/file_system.h"

namespace sb::ninja {

namespace fs = std::filesystem;

Result<std::string> read_regular_file(const fs::path& path, std::size_t max_bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status))
    return fail(ErrorKind::corrupt, fmt::format("{} is not a regular file", path.string()));
  return os::read_file(path, max_bytes);
}

Status replace_file(const fs::path& path, std::string_view bytes) {
  // The pid keeps two writers apart; what a killed one left behind is not ours to mend.
  const fs::path temporary = fmt::format("{}.{}", path.string(), ::getpid());
  ::unlink(temporary.c_str());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail(errno_error(fmt::format("cannot create {}", temporary.string())));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = errno_error(fmt::format("cannot write {}", temporary.string()));
      ::unlink(temporary.c_str());
      return fail(std::move(error));
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = errno_error(fmt::format("cannot replace {}", path.string()));
    ::unlink(temporary.c_str());
    return fail(std::move(error));
  }
  return {};
}

}  // namespace sb::ninja
