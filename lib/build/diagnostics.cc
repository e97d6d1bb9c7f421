// Patterns for the messages of GCC, Clang, ld, lld, mold, CMake and Ninja. They run on output that the built
// project controls: RE2 is linear, and every field is only ever printed.
#include "build/diagnostics.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/text.h"

namespace sb::build {
namespace {

constexpr std::size_t kLongestLine = 4096;     // a line of templates can be megabytes
constexpr std::size_t kLongestMessage = 1024;  // of one diagnostic
constexpr std::size_t kMostExcerpts = 10;

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

std::string_view view(const re2::StringPiece& text) {
  return {text.data(), text.size()};
}

int number(const re2::StringPiece& digits) {
  int value = 0;
  return re2::RE2::FullMatch(digits, "(\\d{1,9})", &value) ? value : 0;
}

// "1 error", "2 errors".
std::string count(std::size_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

// Terminal sequences would survive into a log and hide or fake text there.
std::string printable(std::string_view text) {
  std::string clean;
  for (const char c : text.substr(0, kLongestMessage)) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) clean += c;
  }
  return clean;
}

}  // namespace

DiagnosticReader::DiagnosticReader(std::string source_folder)
    : source_prefix_(std::move(source_folder) + "/") {}

std::string DiagnosticReader::relative(std::string_view path) const {
  if (path.starts_with(source_prefix_)) path.remove_prefix(source_prefix_.size());
  return printable(path);
}

void DiagnosticReader::add(Diagnostic diagnostic) {
  const bool warning = diagnostic.severity == "warning";
  std::vector<Diagnostic>& list = warning ? warnings_ : errors_;
  // A header's mistake comes once per file that includes it; one is enough to act on.
  const bool known = std::ranges::any_of(list, [&](const Diagnostic& other) {
    return other.file == diagnostic.file && other.line == diagnostic.line &&
           other.column == diagnostic.column && other.message == diagnostic.message;
  });
  if (known) return;
  if (!warning) ++error_count_;
  if (list.size() < kMostKept) list.push_back(std::move(diagnostic));
}

void DiagnosticReader::line(std::string_view text) {
  text = text.substr(0, kLongestLine);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (cmake_line(text)) return;
  if (compiler_line(text)) return;
  if (linker_line(text)) return;
  (void)ninja_line(text);
}

bool DiagnosticReader::compiler_line(std::string_view text) {
  static const re2::RE2 kPattern(R"(^([^\s:][^:]*):(\d+):(?:(\d+):)? (fatal error|error|warning): (.*)$)");
  re2::StringPiece file, line_number, column, severity, message;
  if (!re2::RE2::FullMatch(piece(text), kPattern, &file, &line_number, &column, &severity, &message))
    return false;
  add({relative(view(file)), number(line_number), number(column), std::string(view(severity)),
       printable(view(message))});
  return true;
}

bool DiagnosticReader::linker_line(std::string_view text) {
  // "/usr/bin/ld: a.o: in function `f()':" says nothing by itself; the undefined reference comes next.
  static const re2::RE2 kFrom(R"(^(?:\S*/)?(?:ld|ld\.\w+|mold|lld|ld64\.lld): (?:error: |fatal: )?(.*)$)");
  static const re2::RE2 kReference(
      R"(^(?:(?:\S*/)?ld[^:]*: )?([^\s:]+):(?:(\d+)|\([^)]*\)): ((?:undefined reference|multiple definition).*)$)");
  re2::StringPiece file, line_number, message;
  if (re2::RE2::FullMatch(piece(text), kReference, &file, &line_number, &message)) {
    add({relative(view(file)), number(line_number), 0, "error", printable(view(message))});
    return true;
  }
  if (!re2::RE2::FullMatch(piece(text), kFrom, &message)) return false;
  const std::string_view what = view(message);
  if (what.find(": in function ") != std::string_view::npos || what.starts_with("warning: ")) return true;
  add({"", 0, 0, "error", printable(what)});
  return true;
}

bool DiagnosticReader::cmake_line(std::string_view text) {
  static const re2::RE2 kAt(R"(^CMake (Error|Warning)(?: \(dev\))? at ([^:]+):(\d+) \((.*)\):$)");
  static const re2::RE2 kIn(R"(^CMake (Error|Warning)(?: \(dev\))?(?: in ([^:]+))?: ?(.*)$)");
  if (in_cmake_) {
    // The text is indented by two, its paragraphs are parted by empty lines, and anything else ends it.
    if (text.empty() || text.starts_with("  ")) {
      const std::string_view body = trim(text);
      if (!body.empty() && cmake_.message.size() < kLongestMessage) {
        if (!cmake_.message.empty()) cmake_.message += ' ';
        cmake_.message += printable(body);
      }
      return true;
    }
    finish();
  }
  re2::StringPiece severity, file, line_number, rest;
  const bool at = re2::RE2::FullMatch(piece(text), kAt, &severity, &file, &line_number, &rest);
  if (!at && !re2::RE2::FullMatch(piece(text), kIn, &severity, &file, &rest)) return false;
  cmake_ = {relative(view(file)), at ? number(line_number) : 0, 0,
            view(severity) == "Error" ? "error" : "warning", at ? std::string() : printable(view(rest))};
  in_cmake_ = true;
  return true;
}

void DiagnosticReader::finish() {
  if (in_cmake_) add(std::move(cmake_));
  cmake_ = {};
  in_cmake_ = false;
}

bool DiagnosticReader::ninja_line(std::string_view text) {
  constexpr std::string_view kFailed = "FAILED: ";
  constexpr std::string_view kError = "ninja: error: ";
  if (text.starts_with(kFailed)) {
    if (failed_.size() < kMostKept) failed_.push_back(printable(trim(text.substr(kFailed.size()))));
    return true;
  }
  if (!text.starts_with(kError)) return false;
  add({"", 0, 0, "error", printable(text.substr(kError.size()))});
  return true;
}

std::string DiagnosticReader::summary() const {
  if (error_count_ == 1 && errors_.front().file.empty()) return errors_.front().message;
  std::set<std::string_view> files;
  for (const Diagnostic& error : errors_) {
    if (!error.file.empty()) files.insert(error.file);
  }
  if (error_count_ > 0 && files.empty()) return count(error_count_, "error");
  if (error_count_ > 0)
    return fmt::format("{} in {}", count(error_count_, "error"), count(files.size(), "file"));
  return failed_.empty() ? std::string() : fmt::format("{} failed", count(failed_.size(), "target"));
}

std::string DiagnosticReader::excerpt(std::size_t most) const {
  std::vector<std::string> lines;
  for (const Diagnostic& error : errors_) {
    if (lines.size() == most) break;
    lines.push_back(to_string(error));
  }
  for (const std::string& output : failed_) {
    if (!errors_.empty() || lines.size() == most) break;
    lines.push_back("failed: " + output);
  }
  if (error_count_ > most && lines.size() == most)
    lines.push_back(fmt::format("… and {} more", error_count_ - most));
  return join(lines, "\n");
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string place = diagnostic.file;
  if (diagnostic.line > 0) place += fmt::format(":{}", diagnostic.line);
  if (diagnostic.column > 0) place += fmt::format(":{}", diagnostic.column);
  if (!place.empty()) place += ": ";
  return fmt::format("{}{}: {}", place, diagnostic.severity, diagnostic.message);
}

Error build_error(const DiagnosticReader& reader, std::string_view step, const sandbox::Report& report,
                  const std::filesystem::path& log) {
  const bool own_words = report.limit != sandbox::LimitHit::none || reader.summary().empty();
  Error error =
      make_error(ErrorKind::build_failed,
                 fmt::format("{} failed: {}", step, own_words ? report.to_string() : reader.summary()),
                 log.empty() ? std::string() : fmt::format("less {}", log.string()));
  error.log = reader.excerpt(kMostExcerpts);
  return error;
}

}  // namespace sb::build
