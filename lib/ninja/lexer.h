// Lexer: the tokens of one manifest file, after the grammar of Ninja 1.11 (its manual, "Lexical syntax").
// Private to lib/ninja.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sb::ninja {

enum class Token : std::uint8_t {
  build,
  colon,
  default_targets,
  end_of_file,
  equals,
  identifier,
  include,
  indent,
  invalid,
  newline,
  pipe,
  pipe_at,
  pipe_pipe,
  pool,
  rule,
  subninja,
};
[[nodiscard]] std::string_view to_string(Token token);

// A path or a value as it is written, escapes and references unread. Empty when it has no content; every
// escape in it is known to be well-formed.
struct Text {
  std::string_view raw;
  bool plain = true;                                              // it has no "$": it stands for itself
  [[nodiscard]] const char* place() const { return raw.data(); }  // for Lexer::error
};

class Lexer {
 public:
  // Views that must outlive the lexer and what it returns; text ends where a NUL stands behind it, as that of
  // a std::string does. A NUL inside ends it early, as for Ninja.
  Lexer(std::string_view file, std::string_view text) : file_(file), begin_(text.data()), at_(text.data()) {}

  [[nodiscard]] Token next();
  void back() { at_ = token_; }  // the last token is read again
  [[nodiscard]] bool accept(Token token);
  [[nodiscard]] std::string_view identifier();  // empty: there is none

  // Up to the end of the path, or through the end of the line. Nothing: error() tells why.
  [[nodiscard]] std::optional<Text> path() { return text(true); }
  [[nodiscard]] std::optional<Text> value() { return text(false); }

  [[nodiscard]] const char* token_start() const { return token_; }
  // corrupt, "build.ninja:12: words", for a place in the text.
  [[nodiscard]] Error error(std::string_view words, const char* place) const;
  [[nodiscard]] Error error(std::string_view words) const { return error(words, token_); }
  [[nodiscard]] Error error() const { return error(problem_); }
  [[nodiscard]] std::string_view describe_invalid() const;

 private:
  [[nodiscard]] std::optional<Text> text(bool is_path);
  [[nodiscard]] std::optional<Text> problem(std::string_view words, const char* place);
  void skip_blanks();

  std::string_view file_;
  const char* begin_;
  const char* at_;
  const char* token_ = nullptr;  // where the last token starts
  std::string_view problem_ = "lexing error";
};

// The characters of a name: of any, and of one that follows "$" without braces.
[[nodiscard]] bool is_name_character(char c);
[[nodiscard]] bool is_simple_name_character(char c);

}  // namespace sb::ninja
