#include "base/error.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace sb {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::environment:
      return "environment";
    case ErrorKind::refused:
      return "refused";
    case ErrorKind::build_failed:
      return "build_failed";
    case ErrorKind::test_failed:
      return "test_failed";
    case ErrorKind::unhealthy:
      return "unhealthy";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::interrupted:
      return "interrupted";
    case ErrorKind::bug:
      return "bug";
  }
  return "bug";
}

Error make_error(ErrorKind kind, std::string what, std::string next) {
  return Error{.kind = kind, .what = std::move(what), .while_doing = {}, .next = std::move(next)};
}

Error errno_error(std::string what, int code) {
  return make_error(ErrorKind::environment,
                    fmt::format("{}: {}", what, std::generic_category().message(code)));
}

Error errno_error(std::string what) {
  return errno_error(std::move(what), errno);
}

std::string format_error(const Error& error) {
  std::string text = fmt::format("error: {}\n", error.what);
  for (const std::string& line : error.while_doing) text += fmt::format("  while {}\n", line);
  if (!error.expected.empty() || !error.found.empty()) {
    text += fmt::format("  expected  {}\n  found     {}\n", error.expected, error.found);
  }
  if (!error.log.empty()) text += fmt::format("\n{}{}", error.log, error.log.ends_with('\n') ? "" : "\n");
  if (!error.next.empty()) text += fmt::format("\nnext:\n  {}\n", error.next);
  return text;
}

std::string one_line(const Error& error) {
  std::string text = error.what;
  for (const std::string& line : error.while_doing) text += fmt::format(" (while {})", line);
  return text;
}

}  // namespace sb
