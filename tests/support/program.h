// Runs a program to its end and keeps what it printed. For tests of the real binaries.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace sb::tests {

struct Finished {
  int code = -1;  // exit code, or 128 + signal
  std::string out;
  std::string err;
  [[nodiscard]] std::string all() const { return out + err; }
};

using Environment = std::map<std::string, std::string>;

// With exactly PATH, HOME and the given environment. Standard input is empty.
[[nodiscard]] Finished run_program(const std::vector<std::string>& argv,
                                   const std::filesystem::path& directory, const Environment& environment);

// A program in the background; killed, if it still runs, and reaped at the end of scope.
class Background {
 public:
  Background(const std::vector<std::string>& argv, const std::filesystem::path& directory,
             const Environment& environment);
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background();
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running() const;
  [[nodiscard]] Finished wait();  // to its end

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
};

}  // namespace sb::tests
