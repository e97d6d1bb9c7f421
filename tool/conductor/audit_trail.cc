#include "tool/conductor/audit_trail.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::tool {
namespace {

constexpr std::size_t kLongest = 500;  // of a subject or an outcome

// Or waits: a claim changes nothing before its task is completed, and mostly ends with its worker.
bool only_reads(std::string_view method) {
  constexpr std::array<std::string_view, 4> kReading{"conductor.status", "activation.wait", "task.list",
                                                     "task.claim"};
  return std::ranges::find(kReading, method) != kReading.end();
}

std::string outcome_of(const Result<Json>& result) {
  if (result) return "ok";
  return fmt::format("{}: {}", to_string(result.error().kind), result.error().what).substr(0, kLongest);
}

// What names the thing, and nothing else: plans and environments may hold secrets.
std::string subject_of(const Json& params) {
  constexpr std::array kNames{"name",  "project",  "version", "cycle",   "kind", "from",        "commit",
                              "title", "services", "task",    "attempt", "ok",   "triggered_by"};
  std::vector<std::string> parts;
  const auto add = [&parts](const char* name, const Json& value) {
    if (value.is_primitive())
      parts.push_back(
          fmt::format("{}={}", name, value.is_string() ? value.get<std::string>() : dump_json(value)));
  };
  if (!params.is_object()) return {};
  for (const char* name : kNames) {
    if (const auto found = params.find(name); found != params.end()) add(name, *found);
  }
  const auto spec = params.find("spec");
  if (spec != params.end() && spec->is_object() && spec->contains("name")) add("name", spec->at("name"));
  return join(parts, " ").substr(0, kLongest);
}

}  // namespace

rpc::Outcome AuditTrail::witness(const std::string& method, const rpc::Request& request) const {
  if (only_reads(method)) return nullptr;
  audit::Entry entry{.at_ms = 0,
                     .uid = static_cast<std::int64_t>(request.peer_uid),
                     .pid = request.peer_pid,
                     .via = "rpc",
                     .act = method,
                     .subject = subject_of(request.params),
                     .outcome = {}};
  return [this, entry = std::move(entry)](const Result<Json>& result) {
    audit::Entry done = entry;
    done.at_ms = clock_.unix_ms();
    done.outcome = outcome_of(result);
    recorder_.record(std::move(done));
  };
}

void AuditTrail::act(const std::string& via, const http::Client& client, const std::string& act,
                     const std::string& subject, const Result<Json>& result) const {
  recorder_.record(audit::Entry{.at_ms = clock_.unix_ms(),
                                .uid = client.uid ? static_cast<std::int64_t>(*client.uid) : -1,
                                .pid = client.pid,
                                .via = via,
                                .act = act,
                                .subject = subject.substr(0, kLongest),
                                .outcome = outcome_of(result)});
}

}  // namespace sb::tool
