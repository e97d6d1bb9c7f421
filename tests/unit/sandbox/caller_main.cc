// Runs one shell script in the sandbox, passes its output on, and stays: for the test that kills a caller.
#include <iostream>

#include <unistd.h>

#include "sandbox/run.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const sb::sandbox::Command command{
      .argv = {"/bin/sh", "-c", argv[1]}, .environment = {"PATH=/usr/bin:/bin"}, .directory = "/"};
  const auto report =
      sb::sandbox::run(command, {}, [](std::string_view piece) { std::cout << piece << std::flush; });
  if (!report) std::cout << sb::format_error(report.error());
  return 1;
}
