// What a sandboxed program prints: into the log, line by line to whoever listens, and its end for the
// verdict.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "testrun/examiner.h"

namespace sb::testrun {

inline constexpr std::size_t kOutputLines = 40;  // of what failed, in a verdict

class Transcript {
 public:
  // Appends to the log; an empty path keeps none. Makes the folder of the log.
  [[nodiscard]] static Result<Transcript> open(const std::filesystem::path& log, LineSink lines);
  void take(std::string_view piece);
  void end();  // passes on a last line without its "\n"
  [[nodiscard]] std::string last(std::size_t lines) const;

 private:
  Transcript(UniqueFd log, LineSink lines) : log_(std::move(log)), lines_(std::move(lines)) {}
  UniqueFd log_;
  LineSink lines_;
  std::string line_;  // begun
  std::string tail_;
};

// Text from a program under test, for a person's terminal: valid UTF-8 passes, control characters and broken
// bytes become "?", all but the last max_bytes are cut.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_bytes);

}  // namespace sb::testrun
