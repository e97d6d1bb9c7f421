// What a source file's text asks of its surroundings, beyond what it says: it decides whether the same bytes
// mean the same object file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sb::cache {

struct Traits {
  bool tells_time = false;           // __DATE__, __TIME__ or __TIMESTAMP__ outside of comments
  bool asks_computed = false;        // __has_include, __has_embed or #embed of something that is no literal
  bool reads_bytes = false;          // an assembler directive reads a file, which no depfile names
  std::vector<std::string> asked{};  // the literal names: whether they exist is an input
};

// Linear; a text without any of these costs a search for each.
[[nodiscard]] Traits read_traits(std::string_view text);

// With blanks for comments; what they stand between keeps its line.
[[nodiscard]] std::string without_comments(std::string_view text);

// One line of text for the cache, empty for a file that asks nothing.
[[nodiscard]] std::string to_text(const Traits& traits);
[[nodiscard]] Traits traits_from(std::string_view text);

}  // namespace sb::cache
