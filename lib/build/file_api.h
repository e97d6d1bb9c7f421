// CMake's file API (cmake-file-api(7)): what a configured build folder says about itself. The replies lie
// where the built project can write, so they are read as hostile: sizes and depth capped, names checked,
// types checked.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace sb::build {

struct CacheEntries {
  std::string build_type;
  std::string cxx_flags;  // CMAKE_CXX_FLAGS and those of the build type
};

struct FileApiReply {
  std::string cmake;      // "3.25.1"
  std::string generator;  // "Ninja"
  std::vector<std::filesystem::path>
      inputs;  // that decide the configuration; absolute, without generated ones
  std::vector<std::filesystem::path> compilers;
  std::vector<std::string> languages;  // "CXX"
  std::string compiler;                // "GNU 12.2.0", of C++ or else of the first language; may be empty
  CacheEntries cache;
};

// Asks for cmakeFiles v1, cache v2 and toolchains v1; to be called before CMake runs.
[[nodiscard]] Status write_query(const std::filesystem::path& build);

// The newest reply. corrupt when it is missing, or is not what CMake writes.
[[nodiscard]] Result<FileApiReply> read_reply(const std::filesystem::path& build,
                                              const std::filesystem::path& source);

}  // namespace sb::build
