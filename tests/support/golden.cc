// Golden-file comparison for every test program. Stands outside the update: it only reads and writes
// tests/golden.
#include "support/golden.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>

#include <gtest/gtest.h>
#include <re2/re2.h>

#include "base/text.h"
#include "os/process.h"
#include "support/files.h"

namespace sb::tests {
namespace {

constexpr std::size_t kContext = 3;     // equal lines shown before the first difference
constexpr std::size_t kMostLines = 40;  // of each side: a screen, not the whole page

std::filesystem::path golden_file(std::string_view path) {
  return std::filesystem::path(SELFBUILD_SOURCE_DIR) / "tests" / "golden" / path;
}

std::string accept_command() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter =
      info == nullptr ? "" : " --gtest_filter=" + std::string(info->test_suite_name()) + "." + info->name();
  return "SELFBUILD_ACCEPT=1 " + os::own_executable().string() + filter;
}

void append_lines(std::string& out, const std::vector<std::string_view>& lines, std::size_t first,
                  std::size_t last, char mark) {
  for (std::size_t i = first; i < std::min(last, first + kMostLines); ++i) {
    out.append(1, mark).append(lines[i]).append("\n");
  }
  if (last > first + kMostLines) {
    out.append(1, mark).append("... ").append(std::to_string(last - first - kMostLines)).append(" more\n");
  }
}

}  // namespace

std::string difference(std::string_view expected, std::string_view found) {
  if (expected == found) return {};
  const std::vector<std::string_view> left = split_lines(expected);
  const std::vector<std::string_view> right = split_lines(found);
  const std::size_t shorter = std::min(left.size(), right.size());
  std::size_t head = 0;
  while (head < shorter && left[head] == right[head]) ++head;
  std::size_t tail = 0;
  while (tail < shorter - head && left[left.size() - 1 - tail] == right[right.size() - 1 - tail]) ++tail;
  if (head == left.size() && head == right.size()) return "@@ only the newline at the end differs @@\n";

  std::string out = "@@ from line " + std::to_string(head + 1) + " @@\n";
  append_lines(out, left, head - std::min(head, kContext), head, ' ');
  append_lines(out, left, head, left.size() - tail, '-');
  append_lines(out, right, head, right.size() - tail, '+');
  append_lines(out, left, left.size() - tail, left.size() - tail + std::min(tail, kContext), ' ');
  return out;
}

void expect_golden(std::string_view path, std::string_view text) {
  const std::filesystem::path file = golden_file(path);
  if (os::environment_variable("SELFBUILD_ACCEPT") == "1") {
    write(file, text);
    return;
  }
  if (!std::filesystem::exists(file)) {
    ADD_FAILURE() << "there is no golden file " << file.string() << " yet; the text is:\n"
                  << text << "to accept it:\n  " << accept_command();
    return;
  }
  const std::string changes = difference(read(file), text);
  if (changes.empty()) return;
  ADD_FAILURE() << "the text is not what tests/golden/" << path << " holds (- golden, + now):\n"
                << changes << "if the new text is right:\n  " << accept_command();
}

std::string normalised(std::string text, std::vector<std::pair<std::string, std::string>> names) {
  // Longest first: a folder must not be replaced inside the name of its own subfolder that has a rule too.
  std::ranges::sort(names, [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  for (const auto& [literal, replacement] : names) {
    if (!literal.empty()) RE2::GlobalReplace(&text, RE2::QuoteMeta(literal), replacement);
  }
  struct Rule {
    const char* pattern;
    const char* replacement;
  };
  static constexpr Rule kRules[] = {
      {R"(\b[0-9a-f]{64}\b)", "<sha256>"},
      {R"(\b[0-9a-f]{40}\b)", "<commit>"},
      {R"(\b[0-9a-f]{32}\b)", "<xxh3>"},
      {R"(\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\b)", "<time>"},
      {R"(\b\d+ (h|min) \d\d (min|s)\b)", "<duration>"},
      {R"(\b\d+(\.\d+)? (ms|s|min|h)\b)", "<duration>"},
      {R"(\b(pid:?) \d+\b)", R"(\1 <pid>)"},
      {R"((127\.0\.0\.1|\[::1\]):\d+\b)", R"(\1:<port>)"},
  };
  for (const Rule& rule : kRules) RE2::GlobalReplace(&text, rule.pattern, rule.replacement);
  return text;
}

}  // namespace sb::tests
