#include "cache/contents.h"

#include <algorithm>
#include <array>

namespace sb::cache {
namespace {

constexpr std::array<std::string_view, 3> kTimes = {"__DATE__", "__TIME__", "__TIMESTAMP__"};
constexpr std::array<std::string_view, 4> kQuestions = {"__has_include", "__has_embed", "#embed", "# embed"};

// The text with comments blanked. String literals stay: "__DATE__" in one is no macro, but telling them apart
// from raw strings is not worth a refusal less.
std::string without_comments(std::string_view text) {
  std::string result(text);
  enum class In { code, line, block, string, character } in = In::code;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const char c = result[i];
    const char next = i + 1 < result.size() ? result[i + 1] : '\0';
    switch (in) {
      case In::code:
        if (c == '/' && next == '/') in = In::line;
        if (c == '/' && next == '*') in = In::block;
        if (c == '"') in = In::string;
        if (c == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(result[i - 1]))))
          in = In::character;
        if (in == In::line || in == In::block) result[i] = result[i + 1] = ' ';
        if (in == In::block) ++i;  // "/*/" does not end it
        break;
      case In::line:
        if (c == '\n' && (i == 0 || text[i - 1] != '\\')) {
          in = In::code;
        } else if (c != '\n') {
          result[i] = ' ';
        }
        break;
      case In::block:
        if (c == '*' && next == '/') {
          result[i] = result[i + 1] = ' ';
          ++i;
          in = In::code;
        } else if (c != '\n') {
          result[i] = ' ';
        }
        break;
      case In::string:
      case In::character:
        if (c == '\\') {
          ++i;
        } else if (c == (in == In::string ? '"' : '\'') || c == '\n') {
          in = In::code;
        }
        break;
    }
  }
  return result;
}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
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

// `defined(__has_include)`, `#ifdef __has_include` ask for the operator itself.
bool is_only_tested(std::string_view text, std::size_t at) {
  const std::size_t line = text.rfind('\n', at);
  std::string_view before = text.substr(line == std::string_view::npos ? 0 : line + 1,
                                        at - (line == std::string_view::npos ? 0 : line + 1));
  while (!before.empty() && (before.back() == ' ' || before.back() == '\t' || before.back() == '('))
    before.remove_suffix(1);
  return before.ends_with("defined") || before.ends_with("ifdef") || before.ends_with("ifndef");
}

void read_question(std::string_view text, std::size_t at, std::size_t end, bool directive, Traits& traits) {
  std::string_view rest = skip_blanks(text.substr(end));
  if (!directive) {
    if (!rest.starts_with('(')) {
      traits.asks_computed = traits.asks_computed || !is_only_tested(text, at);
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

Traits read_traits(std::string_view text) {
  const auto occurs = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  Traits traits;
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
    if (line.starts_with('?')) traits.asked.emplace_back(line.substr(1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return traits;
}

}  // namespace sb::cache
