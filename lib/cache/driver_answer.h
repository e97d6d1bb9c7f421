// What a compiler driver says about itself: where it looks for the programs that it runs and the files that
// it reads. It is asked once for everything; which file a name means, we look up ourselves, as the driver
// would.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sb::cache {

struct DriverAnswer {
  std::string target;                     // "x86_64-linux-gnu"
  std::vector<std::string> programs;      // before the name of a program, in order: "/usr/lib/gcc/…/12/"
  std::vector<std::string> libraries;     // before the name of a library, start file or specs file
  std::vector<std::string> include_dirs;  // those of C++, then those of C
  std::vector<std::string> runs;          // the programs of its command lines, as written there; and those
                                          // that it was configured to run
  std::vector<std::string> flags;         // of these command lines: -fuse-ld=…
  std::vector<std::string> names;         // files that these name by an absolute path
};

// What to run: its output is for read_driver_answer().
[[nodiscard]] std::vector<std::string> driver_question(const std::string& driver,
                                                       const std::vector<std::string>& flags);
[[nodiscard]] DriverAnswer read_driver_answer(std::string_view said);

// What a driver and the linker behind it ask for by name.
[[nodiscard]] std::vector<std::string> driver_programs(const DriverAnswer& answer,
                                                       const std::vector<std::string>& flags);
[[nodiscard]] std::vector<std::string> driver_files(const std::vector<std::string>& flags);

// The paths that such a name may mean, in the driver's order.
[[nodiscard]] std::vector<std::string> candidates(const std::vector<std::string>& prefixes,
                                                  std::string_view name);

}  // namespace sb::cache
