#include "activation/swap_plan.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::activation {
namespace {

constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);

Json before_to_json(const SwapPlan::Before& before) {
  return {{"project", before.deployment.project},
          {"version", before.deployment.version},
          {"directory", before.deployment.directory.string()},
          {"spec", supervise::to_json(before.deployment.spec)},
          {"wanted", before.wanted}};
}

Result<SwapPlan::Before> before_from_json(const Json& value) {
  SwapPlan::Before before;
  SB_TRY(before.deployment.project, json_string(value, "project"));
  SB_TRY(const long long version, json_integer(value, "version"));
  before.deployment.version = static_cast<int>(version);
  SB_TRY(const std::string directory, json_string(value, "directory"));
  before.deployment.directory = directory;
  SB_TRY(before.deployment.spec, supervise::service_from_json(value.value("spec", Json())));
  SB_TRY(before.wanted, json_bool_or(value, "wanted", true));
  return before;
}

Result<const Json*> array(const Json& value, const char* key) {
  const auto found = value.find(key);
  if (found == value.end() || !found->is_array()) {
    return fail(ErrorKind::corrupt, fmt::format("a swapping record without \"{}\"", key));
  }
  return &*found;
}

}  // namespace

std::string pointer_text(int version) {
  return fmt::format("versions/v{}", version);
}

std::string SwapPlan::pointer_after() const {
  return pointer_text(to.version);
}

std::vector<supervise::Deployment> SwapPlan::deployments() const {
  std::vector<supervise::Deployment> all;
  all.reserve(to.services.size());
  for (const supervise::ServiceSpec& spec : to.services) {
    all.push_back({.project = to.project, .version = to.version, .directory = to.directory, .spec = spec});
  }
  return all;
}

const SwapPlan::Before* SwapPlan::before_of(std::string_view service) const {
  const auto found =
      std::ranges::find_if(before, [&](const Before& one) { return one.deployment.spec.name == service; });
  return found == before.end() ? nullptr : &*found;
}

bool SwapPlan::continues(std::string_view service) const {
  return std::ranges::find(to.services, service, &supervise::ServiceSpec::name) != to.services.end();
}

std::chrono::milliseconds SwapPlan::probation() const {
  std::chrono::milliseconds longest{0};
  for (const supervise::ServiceSpec& spec : to.services) longest = std::max(longest, spec.probation);
  return longest;
}

Json to_json(const Rollout& rollout) {
  return {{"canary", rollout.canary},
          {"canary_step_ms", rollout.canary_step.count()},
          {"bake_ms", rollout.bake.count()}};
}

Result<Rollout> rollout_from_json(const Json& value) {
  Rollout rollout;
  SB_TRY(const long long step, json_integer_or(value, "canary_step_ms", rollout.canary_step.count()));
  SB_TRY(const long long bake, json_integer_or(value, "bake_ms", 0));
  if (step < 100 || step > kLongest.count() || bake < 0 || bake > kLongest.count()) {
    return fail(ErrorKind::usage, "a canary step lasts 100 ms to 24 h, and a bake at most 24 h");
  }
  rollout.canary_step = std::chrono::milliseconds(step);
  rollout.bake = std::chrono::milliseconds(bake);
  const Json steps = value.value("canary", Json::array());
  if (!steps.is_array()) return fail(ErrorKind::usage, "\"canary\" must be an array of percentages");
  for (const Json& one : steps) {
    const int least = rollout.canary.empty() ? 1 : rollout.canary.back() + 1;
    if (!one.is_number_integer() || one.get<std::int64_t>() < least || one.get<std::int64_t>() > 99) {
      return fail(ErrorKind::usage, "the steps of a canary are percentages that ascend from 1 to 99");
    }
    rollout.canary.push_back(one.get<int>());
  }
  return rollout;
}

Json to_json(const SwapPlan& plan) {
  Json services = Json::array();
  for (const supervise::ServiceSpec& spec : plan.to.services) services.push_back(supervise::to_json(spec));
  Json before = Json::array();
  for (const SwapPlan::Before& one : plan.before) before.push_back(before_to_json(one));
  return {{"project", plan.to.project},
          {"from", plan.from},
          {"to", plan.to.version},
          {"directory", plan.to.directory.string()},
          {"services", std::move(services)},
          {"before", std::move(before)},
          {"pointer_before", plan.pointer_before},
          {"rollout", to_json(plan.to.rollout)},
          {"attempt", plan.attempt}};
}

Result<SwapPlan> plan_from_json(std::int64_t cycle, const Json& value) {
  SwapPlan plan;
  plan.to.cycle = cycle;
  SB_TRY(plan.to.project, json_string(value, "project"));
  SB_TRY(const long long from, json_integer(value, "from"));
  SB_TRY(const long long to, json_integer(value, "to"));
  SB_TRY(const long long attempt, json_integer(value, "attempt"));
  plan.from = static_cast<int>(from);
  plan.to.version = static_cast<int>(to);
  plan.attempt = static_cast<int>(attempt);
  SB_TRY(const std::string directory, json_string(value, "directory"));
  plan.to.directory = directory;
  SB_TRY(plan.pointer_before, json_string(value, "pointer_before"));
  SB_TRY(plan.to.rollout, rollout_from_json(value.value("rollout", Json::object())));
  SB_TRY(const Json* services, array(value, "services"));
  SB_TRY(plan.to.services, supervise::services_from_json(*services));
  SB_TRY(const Json* before, array(value, "before"));
  for (const Json& one : *before) {
    SB_TRY(SwapPlan::Before read, before_from_json(one));
    plan.before.push_back(std::move(read));
  }
  return plan;
}

}  // namespace sb::activation
