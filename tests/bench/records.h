// What every benchmark prints: a table for people, and with --json FILE one record per row for machines.
#pragma once

#include <string>
#include <vector>

namespace sb::bench {

struct Record {
  std::string row;
  double value = 0;
  std::string unit;
  std::string peer;  // what it is compared with, and how much that was: "ninja, warm: 3"
  double ratio = 0;  // the peer's figure over ours: above 1 is better than the peer
};

class Records {
 public:
  explicit Records(std::string bench) : bench_(std::move(bench)) {}
  void add(Record record) { records_.push_back(std::move(record)); }
  // Prints the table; writes FILE when argv has --json FILE. Returns the exit code.
  [[nodiscard]] int finish(int argc, char** argv) const;

 private:
  std::string bench_;
  std::vector<Record> records_;
};

}  // namespace sb::bench
