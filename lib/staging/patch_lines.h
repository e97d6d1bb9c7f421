// PatchLines: a cursor over the lines of a patch that knows line numbers for error texts. Used by the two
// readers.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace sb::staging {

class PatchLines {
 public:
  explicit PatchLines(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  // With its "\n" when it has one; empty only at the end.
  [[nodiscard]] std::string_view peek() const { return rest_.substr(0, line_length(rest_)); }
  [[nodiscard]] std::string_view peek_second() const {
    const std::string_view after = rest_.substr(line_length(rest_));
    return after.substr(0, line_length(after));
  }
  std::string_view next() {
    const std::string_view line = peek();
    rest_.remove_prefix(line.size());
    ++number_;
    return line;
  }
  [[nodiscard]] int number() const { return number_; }  // of the line that peek() returns, from 1

 private:
  static std::size_t line_length(std::string_view text) {
    const std::size_t end = text.find('\n');
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  std::string_view rest_;
  int number_ = 1;
};

// "text\n" and "text" are both "text".
[[nodiscard]] inline std::string_view without_newline(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

// refused: "rule 'truncated' refuses line 12: <why>".
[[nodiscard]] Error broken_at(std::string_view rule_name, int line, std::string_view why);
[[nodiscard]] Error broken_at(std::string_view rule_name, const PatchLines& lines, std::string_view why);

}  // namespace sb::staging
