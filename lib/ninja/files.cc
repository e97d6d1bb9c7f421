#include "ninja/files.h"

#include <fmt/format.h>

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

}  // namespace sb::ninja
