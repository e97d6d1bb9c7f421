// Runs a command line in this process, in a home and folder of its own, and catches what it prints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "tool/selfbuild/command.h"

namespace sb::tool::tests {

// All commands, in the order of the overview.
void add_all(Program& program);

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

// A throw-away SELFBUILD_HOME and folder; restores the environment.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine();

  // "selfbuild" and -C FOLDER are put in front.
  [[nodiscard]] Ran run(const std::vector<std::string>& arguments) const;
  [[nodiscard]] std::filesystem::path folder() const { return temporary_.path() / "work"; }
  [[nodiscard]] std::filesystem::path home() const { return temporary_.path() / "home"; }

 private:
  os::TemporaryFolder temporary_;
};

}  // namespace sb::tool::tests
