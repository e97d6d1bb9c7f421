// How this folder reads files. Private to lib/ninja.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace sb::ninja {

inline constexpr std::size_t kLargestLog = 1UL << 30U;  // bytes

// The bytes of a regular file: a build may have put a pipe there, and opening that would wait for ever.
// Errors: not_found; environment; corrupt (not a regular file); refused above max_bytes.
[[nodiscard]] Result<std::string> read_regular_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace sb::ninja
