// Stages and builds a revision in this process, for `selfbuild build` and `selfbuild test`: no conductor, no
// version, nothing swapped.
#pragma once

#include <chrono>

#include "build/builder.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/submit.h"

namespace sb::tool {

struct Workpiece {
  Subject subject;
  staging::Stage stage;
  build::BuildReport report;
  std::chrono::milliseconds stage_time;
  std::filesystem::path log;
};

// patch: a file name, "-" or empty. Shows progress on standard error.
[[nodiscard]] Result<Workpiece> stage_and_build(Program& program, const std::string& revision,
                                                const std::string& patch, int jobs);

}  // namespace sb::tool
