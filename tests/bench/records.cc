#include "bench/records.h"

#include <cstdio>
#include <fstream>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::bench {

int Records::finish(int argc, char** argv) const {
  fmt::print("{:<44}{:>10} {:<6} {:>8}  {}\n", "row", "value", "unit", "ratio", "peer");
  for (const Record& record : records_) {
    fmt::print("{:<44}{:>10.3f} {:<6} {:>8.2f}  {}\n", record.row, record.value, record.unit, record.ratio,
               record.peer);
  }
  if (argc != 3 || std::string_view(argv[1]) != "--json") return argc == 1 ? 0 : 2;
  nlohmann::json list = nlohmann::json::array();
  for (const Record& record : records_) {
    list.push_back({{"bench", bench_},
                    {"row", record.row},
                    {"value", record.value},
                    {"unit", record.unit},
                    {"peer", record.peer},
                    {"ratio", record.ratio}});
  }
  std::ofstream file(argv[2]);
  file << list.dump(2) << '\n';
  if (file.good()) return 0;
  fmt::print(stderr, "cannot write {}\n", argv[2]);
  return 1;
}

}  // namespace sb::bench
