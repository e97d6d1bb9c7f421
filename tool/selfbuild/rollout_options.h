// How a version goes into service: --canary, --canary-step and --bake of `promote` and `update`, and what the
// project says of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

struct RolloutOptions {
  std::vector<int> canary;
  std::string canary_step;
  std::string bake;
};
// `otherwise`: what goes without --canary-step and --bake, as their help says it.
void add_rollout_options(CLI::App& command, RolloutOptions& options, const std::string& otherwise);

// What cycle.begin and activation.begin take as `rollout`. What is not asked for is as `usual` says.
[[nodiscard]] Result<Json> rollout_json(const RolloutOptions& options, const project::Rollout& usual);

}  // namespace sb::tool
