#include "ninja/lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace sb::ninja {
namespace {

// What a character may be part of. One table, because the lexer looks at every byte of a manifest.
enum Class : std::uint8_t { kNameText = 1, kSimpleName = 2, kPathText = 4, kValueText = 8 };

constexpr std::array<std::uint8_t, 256> classes() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || c == '_' || c == '-') table[c] |= kNameText | kSimpleName;
    if (c == '.') table[c] |= kNameText;
    if (c == '\0' || c == '$' || c == '\r' || c == '\n') continue;
    table[c] |= kValueText;
    if (c != ' ' && c != ':' && c != '|') table[c] |= kPathText;
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kClasses = classes();

bool is(char c, std::uint8_t which) {
  return (kClasses[static_cast<unsigned char>(c)] & which) != 0;
}

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

// The length of the line end that a place starts with: 0, 1 or 2.
int newline_length(const char* p) {
  if (*p == '\n') return 1;
  return p[0] == '\r' && p[1] == '\n' ? 2 : 0;
}

const char* skip_name(const char* p, std::uint8_t which) {
  while (is(*p, which)) ++p;
  return p;
}

Token keyword(std::string_view word) {
  static constexpr std::pair<std::string_view, Token> kWords[] = {
      {"build", Token::build},     {"rule", Token::rule}, {"default", Token::default_targets},
      {"include", Token::include}, {"pool", Token::pool}, {"subninja", Token::subninja}};
  for (const auto& [name, token] : kWords) {
    if (word == name) return token;
  }
  return Token::identifier;
}

// The place after a "$" and what it escapes; null when that is nothing Ninja knows.
const char* skip_escape(const char* dollar) {
  const char* p = dollar + 1;
  if (*p == '$' || *p == ' ' || *p == ':') return p + 1;
  if (const int length = newline_length(p); length > 0) {
    p += length;
    while (*p == ' ') ++p;
    return p;
  }
  if (*p == '{') {
    const char* end = skip_name(p + 1, kNameText);
    return end > p + 1 && *end == '}' ? end + 1 : nullptr;
  }
  const char* end = skip_name(p, kSimpleName);
  return end > p ? end : nullptr;
}

bool is_continuation(const char* dollar) {
  return newline_length(dollar + 1) > 0;
}

}  // namespace

bool is_name_character(char c) {
  return is(c, kNameText);
}
bool is_simple_name_character(char c) {
  return is(c, kSimpleName);
}

std::string_view to_string(Token token) {
  switch (token) {
    case Token::build:
      return "'build'";
    case Token::colon:
      return "':'";
    case Token::default_targets:
      return "'default'";
    case Token::end_of_file:
      return "the end of the file";
    case Token::equals:
      return "'='";
    case Token::identifier:
      return "a name";
    case Token::include:
      return "'include'";
    case Token::indent:
      return "an indented line";
    case Token::invalid:
      return "something that is no token";
    case Token::newline:
      return "the end of the line";
    case Token::pipe:
      return "'|'";
    case Token::pipe_at:
      return "'|@'";
    case Token::pipe_pipe:
      return "'||'";
    case Token::pool:
      return "'pool'";
    case Token::rule:
      return "'rule'";
    case Token::subninja:
      return "'subninja'";
  }
  return "?";
}

Token Lexer::next() {
  const char* p = at_;
  const char* start = p;
  Token token = Token::invalid;
  while (true) {
    start = p;
    while (*p == ' ') ++p;
    if (*p != '#') break;
    const char* end = p;
    while (*end != '\n' && *end != '\0') ++end;
    if (*end == '\0') break;  // a comment ends with its line, or it is none
    p = end + 1;
  }
  if (const int length = newline_length(p); length > 0) {
    token = Token::newline;
    p += length;
  } else if (p > start) {
    token = Token::indent;
  } else if (is(*p, kNameText)) {
    p = skip_name(p, kNameText);
    token = keyword(between(start, p));
  } else if (*p == '\0') {
    token = Token::end_of_file;
  } else if (*p == '|') {
    token = p[1] == '@' ? Token::pipe_at : p[1] == '|' ? Token::pipe_pipe : Token::pipe;
    p += token == Token::pipe ? 1 : 2;
  } else {
    token = *p == ':' ? Token::colon : *p == '=' ? Token::equals : Token::invalid;
    ++p;
  }
  token_ = start;
  at_ = p;
  if (token != Token::newline && token != Token::end_of_file) skip_blanks();
  return token;
}

bool Lexer::accept(Token token) {
  if (next() == token) return true;
  back();
  return false;
}

std::string_view Lexer::identifier() {
  token_ = at_;
  at_ = skip_name(at_, kNameText);
  const std::string_view name = between(token_, at_);
  if (!name.empty()) skip_blanks();
  return name;
}

void Lexer::skip_blanks() {
  while (true) {
    if (*at_ == ' ') {
      ++at_;
    } else if (*at_ == '$' && is_continuation(at_)) {
      at_ += 1 + newline_length(at_ + 1);
    } else {
      return;
    }
  }
}

std::optional<Text> Lexer::text(bool is_path) {
  const std::uint8_t ordinary = is_path ? kPathText : kValueText;
  const char* const begin = at_;
  const char* p = begin;
  bool plain = true;
  bool content = false;
  while (true) {
    const char* const run = p;
    while (is(*p, ordinary)) ++p;
    content = content || p > run;
    if (*p != '$') break;
    plain = false;
    content = content || !is_continuation(p);
    const char* const after = skip_escape(p);
    if (after == nullptr) return problem("bad $-escape (a literal $ is written as $$)", p);
    p = after;
  }
  if (*p == '\0') return problem("the file ends inside a line", p);
  if (*p == '\r' && newline_length(p) == 0) return problem("a carriage return inside a line", p);
  token_ = p;
  at_ = is_path ? p : p + newline_length(p);
  if (is_path) skip_blanks();
  return Text{.raw = content ? between(begin, p) : std::string_view(), .plain = plain};
}

std::optional<Text> Lexer::problem(std::string_view words, const char* place) {
  problem_ = words;
  token_ = place;
  return std::nullopt;
}

std::string_view Lexer::describe_invalid() const {
  return *token_ == '\t' ? "tabs are not allowed, use spaces" : "lexing error";
}

Error Lexer::error(std::string_view words, const char* place) const {
  const auto line = 1 + std::count(begin_, place, '\n');
  return make_error(ErrorKind::corrupt, fmt::format("{}:{}: {}", file_, line, words));
}

}  // namespace sb::ninja
