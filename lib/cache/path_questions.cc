#include "cache/path_questions.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cache/contents.h"

namespace sb::cache {
namespace {

// In two pieces each: this file is a source of the builds that it judges.
constexpr std::string_view kFile =
    "__FILE"
    "__";
constexpr std::string_view kFunction =  // with Clang, the path of a lambda's source is in it
    "__PRETTY_FUNCTION"
    "__";
// They mean the source that is compiled, or the caller's, wherever they stand.
constexpr auto kAnywhere =
    std::to_array<std::string_view>({"__BASE_FILE"
                                     "__",
                                     "__builtin_FI"
                                     "LE",
                                     "__builtin_source_"
                                     "location",
                                     "source_"
                                     "location"});
constexpr std::string_view kAssert = "assert";
constexpr std::string_view kFarUp = "../../../../../../../../../../../../../../../../../../..";

bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool continues_name(char c) {
  return starts_name(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

template <typename Visit>
void each_name(std::string_view text, const Visit& visit) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (continues_name(text[at])) {
      while (end < text.size() && continues_name(text[end])) ++end;
      if (starts_name(text[at])) visit(text.substr(at, end - at));
    }
    at = end;
  }
}

bool says(std::string_view text, std::string_view name) {
  for (std::size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || !continues_name(text[at - 1])) && (end == text.size() || !continues_name(text[end])))
      return true;
  }
  return false;
}

// Lines that go on behind a "\" are one.
std::string joined(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("\\\n")) {
      ++at;
    } else if (rest.starts_with("\\\r\n")) {
      at += 2;
    } else {
      result += text[at];
    }
  }
  return result;
}

std::string_view skip_blanks(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\f\v");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

std::string_view name_at_start(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && continues_name(text[end])) ++end;
  return text.substr(0, end);
}

// Before blanks.
std::string_view name_at_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t");
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  std::size_t start = text.size();
  while (start > 0 && continues_name(text[start - 1])) --start;
  return text.substr(start);
}

// What follows the "#" of each directive; a comment that it opens and does not close belongs to it.
template <typename Visit>
void each_directive(std::string_view text, const Visit& visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = skip_blanks(text.substr(at, end - at));
    if (line.starts_with('#')) {
      const std::size_t open = line.rfind("/*");
      const std::size_t start = static_cast<std::size_t>(line.data() - text.data());
      if (open != std::string_view::npos && line.find("*/", open) == std::string_view::npos) {
        const std::size_t close = std::min(text.find("*/", end), text.size());
        line = text.substr(start, std::min(text.find('\n', close), text.size()) - start);
      }
      visit(skip_blanks(line.substr(1)));
    }
    at = end + 1;
  }
}

// There it means the function that it stands in: of the user, when that is a template.
bool says_outside_of_macros(std::string_view text, std::string_view name) {
  if (!says(text, name)) return false;
  const std::string code = without_comments(text);
  std::string rest;
  for (const std::string_view line : split_lines(code)) {
    if (!skip_blanks(line).starts_with('#')) rest.append(line).append("\n");
  }
  return says(rest, name);
}

}  // namespace

PathQuestions::Name PathQuestions::number(std::string_view name) {
  const auto [known, fresh] = numbers_.try_emplace(std::string(name), static_cast<Name>(names_.size()));
  if (fresh) names_.emplace_back(name);
  return known->second;
}

bool PathQuestions::add_host(std::string_view name, std::string_view text) {
  if (std::ranges::any_of(kAnywhere, [&](std::string_view word) { return says(text, word); })) return false;
  const bool is_assert_header = name.ends_with("/include/assert.h");
  const std::string whole = joined(text);
  each_directive(whole, [&](std::string_view directive) {
    if (!directive.starts_with("define")) return;
    add_macro(skip_blanks(directive.substr(std::string_view("define").size())), is_assert_header);
  });
  return !says_outside_of_macros(whole, kFunction);
}

// "name(parameter, ...) text".
void PathQuestions::add_macro(std::string_view line, bool is_assert_header) {
  const std::string_view name = name_at_start(line);
  if (name.empty()) return;
  if (name == kAssert && is_assert_header) return;
  Macro macro;
  macro.name = number(name);
  std::string_view text = line.substr(name.size());
  std::unordered_set<std::string_view> parameters;
  if (text.starts_with('(')) {
    const std::size_t end = std::min(text.find(')'), text.size());
    each_name(text.substr(0, end), [&](std::string_view parameter) { parameters.insert(parameter); });
    text.remove_prefix(end);
  }
  for (std::size_t at = text.find("##"); at != std::string_view::npos; at = text.find("##", at + 2)) {
    macro.pastes = true;
    const std::string_view before = name_at_end(text.substr(0, at));
    if (!before.empty() && !parameters.contains(before)) macro.begins.push_back(number(before));
  }
  each_name(text, [&](std::string_view word) {
    if (!parameters.contains(word)) macro.says.push_back(number(word));
  });
  if (macro.pastes || !macro.says.empty()) macros_.push_back(std::move(macro));
}

bool PathQuestions::pastes(const Macro& macro) const {
  return macro.pastes ||
         std::ranges::any_of(macro.says, [&](Name word) { return pasting_.contains(names_[word]); });
}

bool PathQuestions::asks(const Macro& macro) const {
  const auto is_piece = [&](Name word) { return pieces_.contains(names_[word]); };
  if (std::ranges::any_of(macro.says, [&](Name word) { return asking_.contains(names_[word]); })) return true;
  if (std::ranges::any_of(macro.begins, is_piece)) return true;
  // By a macro that pastes what it gets.
  return !macro.pastes && pastes(macro) && std::ranges::any_of(macro.says, is_piece);
}

void PathQuestions::collect_pieces() {
  pieces_.clear();
  for (const std::string& name : asking_) {
    for (std::size_t length = 1; length < name.size(); ++length) pieces_.insert(name.substr(0, length));
  }
}

// What says a word that asks, asks; until nothing is added any more.
void PathQuestions::close() {
  asking_ = {std::string(kFile), std::string(kFunction)};
  for (const std::string_view word : kAnywhere) asking_.emplace(word);
  pasting_.clear();
  for (bool more = true; more;) {
    more = false;
    collect_pieces();
    for (const Macro& macro : macros_) {
      if (pastes(macro)) more = pasting_.insert(names_[macro.name]).second || more;
      if (asks(macro)) more = asking_.insert(names_[macro.name]).second || more;
    }
  }
}

bool PathQuestions::asks(std::string_view text) const {
  // Other spellings of "#" and "\".
  for (const std::string_view spelling : {"%:", "?\?=", "?\?/"}) {
    if (text.find(spelling) != std::string_view::npos) return true;
  }
  const std::string whole = joined(text);
  bool asks = false;
  bool pastes = whole.find("##") != std::string::npos;
  bool has_pieces = false;
  each_name(whole, [&](std::string_view word) {
    const std::string name(word);
    asks = asks || asking_.contains(name);
    pastes = pastes || pasting_.contains(name);
    has_pieces = has_pieces || pieces_.contains(name);
  });
  return asks || (pastes && has_pieces);
}

std::vector<std::string> climbing_names(std::string_view text) {
  std::vector<std::string> names;
  if (text.find("..") == std::string_view::npos) return names;
  const std::string whole = joined(text);
  each_directive(whole, [&](std::string_view line) {
    for (std::size_t at = line.find(".."); at != std::string_view::npos; at = line.find("..", at)) {
      const std::size_t open = line.find_last_of("\"<", at);
      const std::size_t close = line.find_first_of("\">", at);
      const bool is_quoted = open != std::string_view::npos && close != std::string_view::npos;
      const bool is_path = line.substr(at).starts_with("../");  // else "...", say
      at = is_quoted ? close : at + 2;
      if (!is_quoted && !is_path) continue;
      std::string name(is_quoted ? line.substr(open + 1, close - open - 1) : kFarUp);
      if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
  });
  return names;
}

}  // namespace sb::cache
