// Counts lines and words, as wc(1) does.
#pragma once

#include <cstddef>
#include <istream>

struct Counts {
  std::size_t lines = 0;
  std::size_t words = 0;
};

// Reads to the end of the stream. A last line without its newline is not counted.
[[nodiscard]] Counts count(std::istream& in);
