#include "cache/contents.h"

#include <algorithm>
#include <array>

namespace sb::cache {
namespace {

// Words that are searched for are written in two pieces: this file is a source of the builds that it judges.
constexpr std::array<std::string_view, 3> kTimes = {
    "__DATE"
    "__",
    "__TIME"
    "__",
    "__TIMESTAMP"
    "__"};
constexpr std::array<std::string_view, 4> kQuestions = {"__has_include", "__has_embed", "#embed", "# embed"};

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Blanks the comments of a text. String literals stay: "__DATE__" in one is no macro, but is worth no effort.
// What looks like a comment inside one must not blank what follows, though.
class CommentEraser {
 public:
  explicit CommentEraser(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      if (c == '/' && next == '/') {
        blank(end_of_line_comment());
      } else if (c == '/' && next == '*') {
        const std::size_t end = text_.find("*/", at_ + 2);
        blank(end == std::string::npos ? text_.size() : end + 2);
      } else if (c == '"' || (c == '\'' && !separates_digits())) {
        at_ = c == '"' && is_raw() ? end_of_raw() : end_of_literal(c);
      } else {
        ++at_;
      }
    }
    return std::move(text_);
  }

 private:
  void blank(std::size_t end) {
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') text_[at_] = ' ';
    }
  }
  [[nodiscard]] std::size_t end_of_line_comment() const {
    std::size_t end = text_.find('\n', at_);
    while (end != std::string::npos && text_[end - 1] == '\\') end = text_.find('\n', end + 1);
    return end == std::string::npos ? text_.size() : end;
  }
  // The name or number that ends before the quote.
  [[nodiscard]] std::string_view word_before() const {
    std::size_t start = at_;
    while (start > 0 && is_name_character(text_[start - 1])) --start;
    return std::string_view(text_).substr(start, at_ - start);
  }
  [[nodiscard]] bool separates_digits() const {
    const std::string_view word = word_before();
    return !word.empty() && word != "L" && word != "u" && word != "U" && word != "u8";
  }
  [[nodiscard]] bool is_raw() const {
    const std::string_view word = word_before();
    return word == "R" || word == "LR" || word == "uR" || word == "UR" || word == "u8R";
  }
  [[nodiscard]] std::size_t end_of_raw() const {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string::npos || open - at_ > 17) return end_of_literal('"');
    const std::string close = ")" + text_.substr(at_ + 1, open - at_ - 1) + "\"";
    const std::size_t end = text_.find(close, open);
    return end == std::string::npos ? end_of_literal('"') : end + close.size();
  }
  [[nodiscard]] std::size_t end_of_literal(char quote) const {
    for (std::size_t end = at_ + 1; end < text_.size(); ++end) {
      if (text_[end] == '\\') {
        ++end;
      } else if (text_[end] == quote || text_[end] == '\n') {
        return end + 1;
      }
    }
    return text_.size();
  }

  std::string text_;
  std::size_t at_ = 0;
};

// Whether a name goes on behind a line's end ("__DA\\\nTE__"), where a search would not find it.
bool cuts_a_name(std::string_view text) {
  for (std::size_t at = text.find("\\\n"); at != std::string_view::npos; at = text.find("\\\n", at + 1)) {
    if (at > 0 && at + 2 < text.size() && is_name_character(text[at - 1]) && is_name_character(text[at + 2]))
      return true;
  }
  return false;
}

std::string joined(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == '\n') {
      ++at;
    } else {
      result += text[at];
    }
  }
  return result;
}

// An assembler's directives that read a file, which no depfile names.
bool reads_by_assembler(std::string_view text) {
  for (const std::string_view word : {".inc"
                                      "bin",
                                      ".inc"
                                      "lude"}) {
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
      std::size_t end = at + word.size();
      const std::size_t start = end;
      while (end < text.size() && (text[end] == ' ' || text[end] == '\t' || text[end] == '\\')) ++end;
      if (end == text.size() || text[end] == '"' ||
          (word == ".inc"
                   "bin" &&
           end > start))
        return true;
    }
  }
  return false;
}

// Calls with the position after each occurrence of the word as a whole.
template <typename Found>
void each(std::string_view text, std::string_view word, Found found) {
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !is_name_character(text[at - 1]) || !is_name_character(word.front());
    if (starts && (end == text.size() || !is_name_character(text[end]))) found(at, end);
  }
}

std::string_view skip_blanks(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

// `defined(__has_include)`, `#ifdef __has_include` ask for the operator itself; `#define __has_include(x) 0`
// is for compilers that have none.
bool is_only_tested(std::string_view text, std::size_t at) {
  const std::size_t line = text.rfind('\n', at);
  std::string_view before = text.substr(line == std::string_view::npos ? 0 : line + 1,
                                        at - (line == std::string_view::npos ? 0 : line + 1));
  while (!before.empty() && (before.back() == ' ' || before.back() == '\t' || before.back() == '('))
    before.remove_suffix(1);
  return before.ends_with("defined") || before.ends_with("ifdef") || before.ends_with("ifndef") ||
         before.ends_with("define");
}

void read_question(std::string_view text, std::size_t at, std::size_t end, bool directive, Traits& traits) {
  std::string_view rest = skip_blanks(text.substr(end));
  if (!directive) {
    if (is_only_tested(text, at)) return;
    if (!rest.starts_with('(')) {
      traits.asks_computed = true;
      return;
    }
    rest = skip_blanks(rest.substr(1));
  }
  const char close = rest.starts_with('<') ? '>' : rest.starts_with('"') ? '"' : '\0';
  const std::size_t length = close == '\0' || rest.empty() ? std::string_view::npos : rest.find(close, 1);
  if (length == std::string_view::npos || rest.substr(0, length).find('\n') != std::string_view::npos) {
    traits.asks_computed = true;
    return;
  }
  std::string name(rest.substr(1, length - 1));
  if (std::ranges::find(traits.asked, name) == traits.asked.end()) traits.asked.push_back(std::move(name));
}

}  // namespace

std::string without_comments(std::string_view text) {
  return CommentEraser(text).run();
}

Traits read_traits(std::string_view text) {
  if (cuts_a_name(text)) return read_traits(joined(text));
  const auto occurs = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  Traits traits;
  traits.reads_bytes = reads_by_assembler(text);
  if (!std::ranges::any_of(kTimes, occurs) && !std::ranges::any_of(kQuestions, occurs)) return traits;
  const std::string code = without_comments(text);
  for (const std::string_view word : kTimes) {
    each(code, word, [&](std::size_t, std::size_t) { traits.tells_time = true; });
  }
  for (const std::string_view word : kQuestions) {
    each(code, word, [&](std::size_t at, std::size_t end) {
      read_question(code, at, end, word.ends_with(" embed") || word == "#embed", traits);
    });
  }
  // __has_include_next is searched for by the same names.
  each(code, "__has_include_next",
       [&](std::size_t at, std::size_t end) { read_question(code, at, end, false, traits); });
  return traits;
}

std::string to_text(const Traits& traits) {
  std::string text;
  if (traits.tells_time) text += "time\n";
  if (traits.asks_computed) text += "computed\n";
  if (traits.reads_bytes) text += "bytes\n";
  for (const std::string& name : traits.asked) text += "?" + name + "\n";
  return text;
}

Traits traits_from(std::string_view text) {
  Traits traits;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line == "time") traits.tells_time = true;
    if (line == "computed") traits.asks_computed = true;
    if (line == "bytes") traits.reads_bytes = true;
    if (line.starts_with('?')) traits.asked.emplace_back(line.substr(1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return traits;
}

}  // namespace sb::cache
