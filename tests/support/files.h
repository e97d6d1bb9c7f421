// Temporary folders and files for tests.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "os/file_system.h"

namespace sb::tests {

// Aborts the test program when the system cannot make one.
[[nodiscard]] os::TemporaryFolder temporary_folder();
void write(const std::filesystem::path& path, std::string_view text);  // makes the folders above it
[[nodiscard]] std::string read(const std::filesystem::path& path);     // empty when there is none

}  // namespace sb::tests
