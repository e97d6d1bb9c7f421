#include "supervise/service_log.h"

#include <fcntl.h>
#include <fmt/format.h>

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

}  // namespace sb::supervise
