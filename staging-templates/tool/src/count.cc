#include "count.h"

Counts count(std::istream& in) {
  Counts counts;
  bool in_word = false;
  for (char c = 0; in.get(c);) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank && !in_word) ++counts.words;
    if (c == '\n') ++counts.lines;
    in_word = !blank;
  }
  return counts;
}
