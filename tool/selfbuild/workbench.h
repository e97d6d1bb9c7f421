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
  build::BuildRequest request;
  build::BuildReport report;
  std::chrono::milliseconds stage_time;
  std::filesystem::path log;
};

// A revision in a stage, ready to be built.
struct Staged {
  Subject subject;
  staging::Stage stage;
  std::chrono::milliseconds stage_time{0};
  build::BuildRequest request;
};
[[nodiscard]] Result<Staged> stage_revision(Program& program, const std::string& revision,
                                            const std::string& patch, int jobs);

// Shows progress on standard error.
[[nodiscard]] Result<Workpiece> build_staged(Program& program, Staged staged);
// Both. patch: a file name, "-" or empty.
[[nodiscard]] Result<Workpiece> stage_and_build(Program& program, const std::string& revision,
                                                const std::string& patch, int jobs);

}  // namespace sb::tool
