// conductor.status, conductor.stop, conductor.hand_over.
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "keeper/kept_programs.h"
#include "os/process.h"
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
          {"deadline_ms", running->deadline_ms()},
          {"paused", running->paused()}};
}

Json program_to_json(const Conductor& conductor) {
  const keeper::KeptPrograms kept = keeper::kept_programs(conductor.home());
  return {{"path", os::own_executable().string()},
          {"boots", conductor.keeper().boots()},
          {"deaths", conductor.keeper().deaths()},
          {"previous", kept.previous.string()},
          {"rejected", kept.rejected.string()}};
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
              {"keeper", conductor.keeper().connected()},
              {"http", conductor.http().loopback()},
              {"program", program_to_json(conductor)},
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
  conductor.server().on("conductor.hand_over", [&conductor](const rpc::Request&, const rpc::Reply& reply) {
    conductor.hand_over(
        [&reply](const Status& begun) { reply(begun ? Result<Json>(Json::object()) : fail(begun.error())); });
  });
}

}  // namespace sb::tool
