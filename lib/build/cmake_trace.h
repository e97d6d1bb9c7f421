// The trace of a CMake run (cmake --trace-expand --trace-format=json-v1, since CMake 3.17): every command
// that ran, its arguments as they were then. It tells what the file API does not: which files the scripts
// read by themselves. The trace lies where the built project can write, so it is read as hostile.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/places.h"

namespace sb::build {

// The options that make CMake write its trace to a file, by the path that it sees.
[[nodiscard]] std::vector<std::string> trace_options(const std::filesystem::path& seen_file);

struct TracedReads {
  // In the words of cache::ConfiguredFolder::keep(): files that were read, folders that could be, names that
  // were looked for.
  std::vector<std::string> inputs;
  bool tells_time = false;  // the next run of CMake would have another result
};

// What the commands read beyond what CMake notes itself: file(READ) and its like; execute_process, which may
// read all of the source when it is told any of its paths; try_compile. corrupt when the file is no such
// trace.
[[nodiscard]] Result<TracedReads> read_trace(const std::filesystem::path& file, const cache::Places& places);

}  // namespace sb::build
