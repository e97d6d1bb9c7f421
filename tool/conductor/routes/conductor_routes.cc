// conductor.status, conductor.stop.
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tool/conductor/conductor.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

Json activation_to_json(const activation::ActivationCycle* running) {
  if (running == nullptr) return nullptr;
  return {{"cycle", running->plan().to.cycle},
          {"project", running->plan().to.project},
          {"step", history::to_string(running->step())},
          {"from", running->plan().from},
          {"to", running->plan().to.version},
          {"deadline_ms", running->deadline_ms()}};
}

Result<Json> status(Conductor& conductor) {
  Json services = Json::array();
  for (const supervise::ServiceStatus& one : conductor.supervisor().status()) {
    services.push_back(supervise::to_json(one));
  }
  SB_TRY(const std::vector<bus::Task> tasks, conductor.tasks().open_tasks());
  int pending = 0;
  int running = 0;
  for (const bus::Task& task : tasks) ++(task.status == "running" ? running : pending);
  return Json{{"pid", ::getpid()},
              {"version", SELFBUILD_VERSION},
              {"started_ms", conductor.started_ms()},
              {"home", conductor.home().state().parent_path().string()},
              {"keeper", conductor.has_keeper()},
              {"services", std::move(services)},
              {"activation", activation_to_json(conductor.activator().running())},
              {"tasks", {{"pending", pending}, {"running", running}}}};
}

}  // namespace

void add_conductor_routes(Conductor& conductor) {
  conductor.server().on("conductor.status", [&conductor](const rpc::Request&, const rpc::Reply& reply) {
    reply(status(conductor));
  });
  conductor.server().on("conductor.stop", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    const Result<bool> services = json_bool_or(request.params, "services", false);
    if (!services) return reply(fail(services.error()));
    conductor.stop(*services, [reply] { reply(Json::object()); });
  });
}

}  // namespace sb::tool
