// What counts as a line and as a word.
#include "count.h"

#include <iostream>
#include <sstream>
#include <string>

namespace {

int failures = 0;

void expect(const std::string& text, std::size_t lines, std::size_t words) {
  std::istringstream in(text);
  const Counts found = count(in);
  if (found.lines == lines && found.words == words) return;
  std::cerr << '"' << text << "\": expected " << lines << " lines and " << words << " words, found "
            << found.lines << " and " << found.words << "\n";
  ++failures;
}

}  // namespace

int main() {
  expect("", 0, 0);
  expect("one two\nthree\n", 2, 3);
  expect("  \t\n\n", 2, 0);
  expect("no newline", 0, 2);
  return failures == 0 ? 0 : 1;
}
