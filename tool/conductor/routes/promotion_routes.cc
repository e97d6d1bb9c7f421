// activation.pause, resume, abort; service.pin, unpin; version.mark_good: what a person decides about
// versions.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/conductor/conductor.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

using activation::ActivationCycle;
using supervise::Pin;

Result<Json> decide(Conductor& conductor, const Json& params,
                    Status (ActivationCycle::*decision)(const std::string& by)) {
  SB_TRY(const std::string by, json_string(params, "by"));
  SB_TRY(const std::string project, json_string_or(params, "project", ""));
  SB_TRY(ActivationCycle* const running, conductor.activator().in_progress());
  if (!project.empty() && running->plan().to.project != project) {
    return fail(ErrorKind::not_found,
                fmt::format("nothing of {} is being put into service, but {} is", project,
                            running->plan().to.project),
                "selfbuild status");
  }
  SB_CHECK((running->*decision)(by));
  return Json{{"cycle", running->plan().to.cycle},
              {"project", running->plan().to.project},
              {"version", running->plan().to.version},
              {"step", history::to_string(running->step())},
              {"paused", running->paused()}};
}

// Those of a project, or the one that is named.
Result<std::vector<supervise::Service*>> meant(Conductor& conductor, const Json& params) {
  SB_TRY(const std::string name, json_string_or(params, "name", ""));
  if (!name.empty()) {
    SB_TRY(supervise::Service* const one, conductor.supervisor().get(name));
    return std::vector{one};
  }
  SB_TRY(const std::string project, json_string(params, "project"));
  std::vector<supervise::Service*> services;
  for (supervise::Service* one : conductor.supervisor().of_project(project)) {
    if (one->deployment().version != 0) services.push_back(one);  // not the command line's own worker
  }
  if (services.empty())
    return fail(ErrorKind::not_found, fmt::format("{} has no services", project), "selfbuild status");
  return services;
}

Result<Json> set_pins(Conductor& conductor, const Json& params, Pin::Kind kind) {
  SB_TRY(const std::string by, json_string(params, "by"));
  SB_TRY(const std::vector<supervise::Service*> services, meant(conductor, params));
  Json answer = Json::array();
  for (supervise::Service* service : services) {
    service->set_pin({.kind = kind, .reason = kind == Pin::Kind::none ? "" : "by " + by});
    answer.push_back(supervise::to_json(service->status()));
  }
  return Json{{"services", std::move(answer)}};
}

Result<Json> mark_good(Conductor& conductor, const Json& params) {
  SB_TRY(const std::string by, json_string(params, "by"));
  SB_TRY(const std::string project, json_string(params, "project"));
  SB_TRY(const long long number, json_integer(params, "version"));
  SB_TRY(const history::Version version, conductor.history().version(project, static_cast<int>(number)));
  SB_CHECK(conductor.history().set_version_state(project, version.number, history::VersionState::known_good,
                                                 "marked good by " + by));
  return Json{{"version", version.number}, {"was", history::to_string(version.state)}};
}

}  // namespace

void add_promotion_routes(Conductor& conductor) {
  const auto on = [&conductor](const char* method, std::function<Result<Json>(const Json&)> act) {
    conductor.server().on(method,
                          [act = std::move(act)](const rpc::Request& request, const rpc::Reply& reply) {
                            reply(act(request.params));
                          });
  };
  on("activation.pause",
     [&conductor](const Json& params) { return decide(conductor, params, &ActivationCycle::pause); });
  on("activation.resume",
     [&conductor](const Json& params) { return decide(conductor, params, &ActivationCycle::unpause); });
  on("activation.abort",
     [&conductor](const Json& params) { return decide(conductor, params, &ActivationCycle::abort); });
  on("service.pin",
     [&conductor](const Json& params) { return set_pins(conductor, params, Pin::Kind::pinned); });
  on("service.unpin",
     [&conductor](const Json& params) { return set_pins(conductor, params, Pin::Kind::none); });
  on("version.mark_good", [&conductor](const Json& params) { return mark_good(conductor, params); });
}

}  // namespace sb::tool
