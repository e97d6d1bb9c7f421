// @NAME@ [FILE]: prints how many lines and words a file, or standard input, has.
#include <fstream>
#include <iostream>
#include <string_view>

#include "count.h"

namespace {

void print(const Counts& counts) {
  std::cout << counts.lines << " lines, " << counts.words << " words\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && std::string_view(argv[1]) == "--help")) {
    std::cerr << "usage: @NAME@ [FILE]\n";
    return argc > 2 ? 2 : 0;
  }
  if (argc == 1) {
    print(count(std::cin));
    return 0;
  }
  std::ifstream file(argv[1]);
  if (!file) {
    std::cerr << "@NAME@: cannot read " << argv[1] << "\n";
    return 1;
  }
  print(count(file));
  return 0;
}
