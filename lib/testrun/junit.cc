#include "testrun/junit.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <pugixml.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "testrun/transcript.h"

namespace sb::testrun {
namespace {

constexpr std::size_t kMaxFile = 32UL << 20U;
constexpr std::size_t kMaxFailures = 100;
constexpr std::size_t kMaxName = 200;
constexpr std::size_t kMaxOutput = 8UL * 1024;

enum class Fate { passed, failed, skipped };

Fate fate_of(const pugi::xml_node& test) {
  const std::string_view status = test.attribute("status").as_string();
  if (status == "fail" || test.child("failure") || test.child("error")) return Fate::failed;
  if (status == "disabled") return Fate::skipped;
  const pugi::xml_node skipped = test.child("skipped");
  if (!skipped && status != "notrun") return Fate::passed;
  // CTest writes <skipped> for whatever did not run; only these messages are a decision of the test itself.
  return std::string_view(skipped.attribute("message").as_string()).starts_with("SKIP_") ? Fate::skipped
                                                                                         : Fate::failed;
}

std::string output_of(const pugi::xml_node& test) {
  std::string output = test.child("system-out").text().as_string();
  if (trim(output).empty()) output = test.child("failure").attribute("message").as_string();
  if (trim(output).empty()) output = test.child("skipped").attribute("message").as_string();
  return printable(last_lines(output, kOutputLines), kMaxOutput);
}

void count(const pugi::xml_node& test, Tally& tally) {
  ++tally.tests;
  switch (fate_of(test)) {
    case Fate::passed:
      return;
    case Fate::skipped:
      ++tally.skipped;
      return;
    case Fate::failed:
      break;
  }
  ++tally.failed;
  if (tally.failures.size() >= kMaxFailures) return;
  std::string name = printable(test.attribute("name").as_string(), kMaxName);
  for (char& c : name) c = c == '\n' || c == '\t' ? ' ' : c;
  tally.failures.push_back({.name = name.empty() ? "(no name)" : name, .output = output_of(test)});
}

}  // namespace

Result<Tally> parse_junit(std::string_view text) {
  if (text.size() > kMaxFile) return fail(ErrorKind::refused, "the JUnit file is too large");
  pugi::xml_document document;
  // No DTD, no entities beyond the five of XML: pugixml knows no others.
  const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  if (!parsed) {
    return fail(ErrorKind::corrupt,
                fmt::format("the JUnit file is not XML: {} at byte {}", parsed.description(), parsed.offset));
  }
  Tally tally;
  const auto count_suite = [&](const pugi::xml_node& suite) {
    for (const pugi::xml_node& test : suite.children("testcase")) count(test, tally);
  };
  if (const pugi::xml_node suite = document.child("testsuite")) {
    count_suite(suite);
  } else if (const pugi::xml_node suites = document.child("testsuites")) {
    for (const pugi::xml_node& one : suites.children("testsuite")) count_suite(one);
  } else {
    return fail(ErrorKind::corrupt, "the JUnit file holds no testsuite");
  }
  return tally;
}

Result<Tally> read_junit(const std::filesystem::path& file) {
  // Non-blocking: a pipe planted under this name must not stop us.
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    Error error = errno_error("cannot read CTest's JUnit file");
    error.kind = errno == ENOENT ? ErrorKind::not_found : ErrorKind::corrupt;
    return fail(std::move(error));
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(ErrorKind::corrupt, "CTest's JUnit file is not a regular file");
  }
  if (static_cast<std::size_t>(info.st_size) > kMaxFile)
    return fail(ErrorKind::refused, "the JUnit file is too large");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::pread(fd.get(), &text[size], text.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  return parse_junit(std::string_view(text).substr(0, size));
}

}  // namespace sb::testrun
