// SwapPlan: what a swap is going to do, and how to take it back. The detail of the `swapping` record, so that
// any later conductor can finish either way with nothing but the journal.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "base/result.h"
#include "supervise/service_table.h"

namespace sb::activation {

// How carefully a version goes into service, beyond what every one has to pass.
struct Rollout {
  std::vector<int> canary{};  // percent of the users, 1 to 99, ascending; each for a step
  std::chrono::milliseconds canary_step{5'000};
  std::chrono::milliseconds bake{0};  // so long the old version is kept alive and idle
  // Only what can be steered can do that; see supervise/steering.h.
  [[nodiscard]] bool needs_steering() const { return !canary.empty() || bake.count() > 0; }
};

// A version that is to be live, with its services in the order in which they are swapped.
struct Request {
  std::int64_t cycle = 0;
  std::string project;
  int version = 0;
  std::filesystem::path directory;
  std::vector<supervise::ServiceSpec> services;
  Rollout rollout{};
};

struct SwapPlan {
  Request to;
  // What ran before, for all services of the project and those that the new version takes over.
  struct Before {
    supervise::Deployment deployment;
    bool wanted = true;
  };
  using Befores = std::vector<Before>;
  Befores before;
  int from = 0;                // the version that was live; 0: none
  std::string pointer_before;  // the pointer's text, empty when there was none
  int attempt = 1;

  [[nodiscard]] std::string pointer_after() const;
  [[nodiscard]] std::vector<supervise::Deployment> deployments() const;  // of the new version
  [[nodiscard]] const Before* before_of(std::string_view service) const;
  [[nodiscard]] bool continues(std::string_view service) const;  // the new version has it, too
  // All services need their full probation; the longest decides.
  [[nodiscard]] std::chrono::milliseconds probation() const;
};

// What a pointer to that version says.
[[nodiscard]] std::string pointer_text(int version);
[[nodiscard]] Json to_json(const Rollout& rollout);
// Without any of its keys: as every version. usage: percentages that do not ascend from 1 to 99.
[[nodiscard]] Result<Rollout> rollout_from_json(const Json& value);
[[nodiscard]] Json to_json(const SwapPlan& plan);
[[nodiscard]] Result<SwapPlan> plan_from_json(std::int64_t cycle, const Json& value);

}  // namespace sb::activation
