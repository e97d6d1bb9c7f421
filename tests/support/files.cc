#include "support/files.h"

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace sb::tests {

os::TemporaryFolder temporary_folder() {
  Result<os::TemporaryFolder> folder = os::TemporaryFolder::make("selfbuild-test");
  if (!folder) {
    std::cerr << format_error(folder.error());
    std::abort();
  }
  return std::move(*folder);
}

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read(const std::filesystem::path& path) {
  return os::read_file(path).value_or(std::string());
}

}  // namespace sb::tests
