// One line of CMake's trace (json-v1): a command that ran. Read without a parser, since there are tens of
// thousands: a quotation mark in a JSON string is escaped, so that what is looked for is found outside of
// strings only. The trace lies where the built project can write, so it is read as hostile.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb::build {

struct TraceLine {
  std::string_view arguments;  // "a","b", as they stand there; of the text that was read
  std::string command;         // in lower case
  std::string file;            // absolute; as it stands there
  std::size_t frame = 0;       // how deep in calls, across files; 0: it does not say (before CMake 3.24)
  std::size_t first = 0;       // line of the file, from 1
  std::size_t last = 0;

  [[nodiscard]] bool says(std::string_view text) const {
    return arguments.find(text) != std::string_view::npos;
  }
  // corrupt when they are not a list of texts.
  [[nodiscard]] Result<std::vector<std::string>> parsed_arguments() const;
};

// Nothing: it is no command.
[[nodiscard]] std::optional<TraceLine> read_trace_line(std::string_view text);

[[nodiscard]] bool is_one_of(std::string_view word, std::span<const std::string_view> words);
[[nodiscard]] bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words);

}  // namespace sb::build
