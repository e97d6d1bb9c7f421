// Configure: runs CMake on a stage's build folder when, and only when, something that decides its result
// changed.
#pragma once

#include "base/result.h"
#include "build/builder.h"
#include "build/configuration.h"
#include "build/tool_runner.h"

namespace sb::build {

struct Configured {
  bool ran = false;
  std::string reason;  // why it ran
  Configuration configuration;
  std::chrono::milliseconds took{0};
  sandbox::Grant grant;
  std::vector<Diagnostic> warnings;
};

// Only what CMake itself does: its command line, and one run of it.
struct CMakeRun {
  std::chrono::milliseconds took{0};
  sandbox::Grant grant;
  std::vector<Diagnostic> warnings;
};
[[nodiscard]] std::vector<std::string> cmake_command(const BuildRequest& request, const ToolRunner& tools);
[[nodiscard]] std::vector<std::string> cmake_environment();
// `options` are added to the command line.
[[nodiscard]] Result<CMakeRun> run_cmake(const BuildRequest& request, ToolRunner& tools,
                                         const ProgressSink& progress, const std::string& reason,
                                         const std::vector<std::string>& options = {});
// usage: a generator other than Ninja.
[[nodiscard]] Status check_generator(const BuildRequest& request, const FileApiReply& reply);

// Errors: build_failed (CMake said no; its first messages are in log), usage (a generator other than Ninja).
[[nodiscard]] Result<Configured> configure(const BuildRequest& request, ToolRunner& tools,
                                           const ProgressSink& progress);

// Reads what CMake says now and saves it: after CMake ran here, or because Ninja ran it.
[[nodiscard]] Result<Configuration> record_configuration(const BuildRequest& request);

}  // namespace sb::build
