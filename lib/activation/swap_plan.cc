#include "activation/swap_plan.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::activation {
namespace {

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

std::string SwapPlan::pointer_after() const {
  return fmt::format("versions/v{}", to.version);
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
  SB_TRY(const Json* services, array(value, "services"));
  for (const Json& one : *services) {
    SB_TRY(supervise::ServiceSpec spec, supervise::service_from_json(one));
    plan.to.services.push_back(std::move(spec));
  }
  SB_TRY(const Json* before, array(value, "before"));
  for (const Json& one : *before) {
    SB_TRY(SwapPlan::Before read, before_from_json(one));
    plan.before.push_back(std::move(read));
  }
  return plan;
}

}  // namespace sb::activation
