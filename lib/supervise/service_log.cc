#include "supervise/service_log.h"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::supervise {

namespace fs = std::filesystem;

Result<UniqueFd> open_service_log(const fs::path& folder) {
  SB_CHECK(os::make_folders(folder));
  const fs::path path = folder / "log";
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  return fd;
}

void cap_service_log(const fs::path& folder, std::uint64_t limit) {
  std::error_code code;
  const std::uint64_t size = fs::file_size(folder / "log", code);
  if (code || size <= limit) return;
  fs::copy_file(folder / "log", folder / "log.1", fs::copy_options::overwrite_existing, code);
  fs::resize_file(folder / "log", 0, code);
}

std::string log_tail(const fs::path& folder, std::size_t lines) {
  constexpr off_t kMost = 16 * 1024;
  const UniqueFd fd(::open((folder / "log").c_str(), O_RDONLY | O_CLOEXEC));
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  if (size <= 0) return {};
  const off_t from = std::max<off_t>(size - kMost, 0);
  std::string text(static_cast<std::size_t>(size - from), '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), from);
  if (got <= 0) return {};
  text.resize(static_cast<std::size_t>(got));
  // What is cut off in front is no line.
  if (from > 0) text.erase(0, std::min(text.find('\n') + 1, text.size()));
  return last_lines(text, lines);
}

}  // namespace sb::supervise
