// A build as a trace that Perfetto (https://ui.perfetto.dev) and chrome://tracing show: its phases in one
// lane, the edges that Ninja ran in as many as ran at once. The format is "Trace Event Format", JSON Object
// Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "build/builder.h"

namespace sb::build {

// What came from the cache is an instant event with its number, no work.
[[nodiscard]] std::string trace_of(const BuildReport& report);

// The file of a trace, opened before the build: that it cannot be written is an error at once. One that was
// made here and never written goes away again.
class TraceFile {
 public:
  // environment, with the file's name.
  [[nodiscard]] static Result<TraceFile> open(const std::filesystem::path& path);
  TraceFile(TraceFile&&) noexcept = default;
  TraceFile& operator=(TraceFile&&) = delete;
  ~TraceFile();

  // Replaces what the file holds.
  [[nodiscard]] Status write(std::string_view text);

 private:
  TraceFile(UniqueFd fd, std::filesystem::path path, bool is_new)
      : fd_(std::move(fd)), path_(std::move(path)), is_new_(is_new) {}
  UniqueFd fd_;
  std::filesystem::path path_;
  bool is_new_ = false;
};

}  // namespace sb::build
