// What compilers, linkers, CMake and Ninja complain about, found in the text they print.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "build/builder.h"
#include "sandbox/run.h"

namespace sb::build {

// Reads output piece by piece, as it comes. Linear in the size of the output (RE2); keeps at most kMostKept
// diagnostics of each severity, and counts the rest. One thread.
class DiagnosticReader {
 public:
  static constexpr std::size_t kMostKept = 200;

  explicit DiagnosticReader(std::string source_folder);
  void line(std::string_view text);  // one line without its end
  void finish();                     // no more lines: closes a message that was still open

  [[nodiscard]] const std::vector<Diagnostic>& errors() const { return errors_; }
  [[nodiscard]] const std::vector<Diagnostic>& warnings() const { return warnings_; }
  // "3 errors in 2 files", "2 targets failed", or an empty string when there was nothing.
  [[nodiscard]] std::string summary() const;
  // The first `most` errors, a line each ("src/a.cc:3:5: error: …"), ready for Error::log.
  [[nodiscard]] std::string excerpt(std::size_t most) const;

 private:
  bool compiler_line(std::string_view text);
  bool linker_line(std::string_view text);
  bool cmake_line(std::string_view text);
  bool ninja_line(std::string_view text);
  void add(Diagnostic diagnostic);
  [[nodiscard]] std::string relative(std::string_view path) const;

  std::string source_prefix_;  // with a slash at its end
  std::vector<Diagnostic> errors_;
  std::vector<Diagnostic> warnings_;
  std::vector<std::string> failed_;  // outputs that Ninja reported as FAILED
  std::size_t error_count_ = 0;
  Diagnostic cmake_;  // an open "CMake Error at …", whose indented text is still coming
  bool in_cmake_ = false;
};

// "src/a.cc:3:5: error: …"
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

// The error of a failed step. `step` is "configure" or "build"; `log` the file that has all of the output. A
// limit that was hit comes before what the tools said: their messages are only its consequence.
[[nodiscard]] Error build_error(const DiagnosticReader& reader, std::string_view step,
                                const sandbox::Report& report, const std::filesystem::path& log);

}  // namespace sb::build
