// Error and its kinds: how every part of selfbuild says that something did not work, and what to do next.
//
// An expected outcome (a failing test suite, a rejected patch) is a value, not an Error. Only main() prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sb {

// The classes that code branches on. Everything finer is in the words.
enum class ErrorKind {
  usage,         // the caller asked for something that has no meaning; exit code 2
  not_found,     // a named thing does not exist
  conflict,      // somebody else holds it, or it already exists in another form
  environment,   // the host lacks something: a tool, a permission, disk; exit code 4
  refused,       // a rule of ours says no (path rules, limits)
  build_failed,  // configure or Ninja said no
  test_failed,
  unhealthy,    // a program did not become, or did not stay, ready and healthy
  corrupt,      // stored bytes are not what they were
  interrupted,  // a signal or a newer owner ended the work
  bug,          // we broke our own promise; exit code 70
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::bug;
  std::string what;                      // what failed and on what: one sentence, no final stop
  std::vector<std::string> while_doing;  // innermost first; each layer adds at most one line
  std::string expected{};                // both empty, or printed aligned below each other
  std::string found{};
  std::string log{};   // the lines a reader needs, or the path of the whole log
  std::string next{};  // one command that goes on from here; empty when nobody knows

  [[nodiscard]] Error doing(std::string line) && {
    while_doing.push_back(std::move(line));
    return std::move(*this);
  }
};

[[nodiscard]] Error make_error(ErrorKind kind, std::string what, std::string next = {});
// Adds the text of errno (or of a given code): "cannot open x: No such file or directory".
[[nodiscard]] Error errno_error(std::string what, int code);
[[nodiscard]] Error errno_error(std::string what);

// The error as a person reads it: several lines, no colour, ends with a newline.
[[nodiscard]] std::string format_error(const Error& error);
// What and its context in one line, for logs and database columns.
[[nodiscard]] std::string one_line(const Error& error);

}  // namespace sb
