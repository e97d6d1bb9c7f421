// service.ensure, start, stop, restart, remove.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/conductor/conductor.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

Result<supervise::Deployment> deployment_from(const Json& params) {
  supervise::Deployment deployment;
  if (!params.contains("spec")) return fail(ErrorKind::usage, "\"spec\" is missing");
  SB_TRY(deployment.spec, supervise::service_from_json(params["spec"]));
  SB_TRY(deployment.project, json_string_or(params, "project", ""));
  SB_TRY(const std::string directory, json_string(params, "directory"));
  deployment.directory = directory;
  if (!deployment.directory.is_absolute())
    return fail(ErrorKind::usage, "\"directory\" must be an absolute path");
  SB_TRY(const long long version, json_integer_or(params, "version", 0));
  if (version < 0 || version > 1'000'000'000) return fail(ErrorKind::usage, "\"version\" is out of range");
  deployment.version = static_cast<int>(version);
  return deployment;
}

Result<Json> ensure(Conductor& conductor, const Json& params) {
  SB_TRY(const supervise::Deployment deployment, deployment_from(params));
  supervise::Supervisor& supervisor = conductor.supervisor();
  const std::string& name = deployment.spec.name;
  if (const supervise::Service* known = supervisor.find(name)) return supervise::to_json(known->status());
  SB_TRY(supervise::Service* const service, supervisor.ensure(deployment, /*wanted=*/true));
  // Only what goes wrong at once is the caller's: a missing program, an address that is taken.
  auto failure = std::make_shared<std::optional<Error>>();
  auto returned = std::make_shared<bool>(false);
  service->start([failure, returned](const Status& up) {
    if (!up && !*returned) *failure = up.error();
  });
  *returned = true;
  if (!*failure) return supervise::to_json(service->status());
  supervisor.remove(name);
  return fail(**failure);
}

// A service by params.name that no swap has in its hands.
Result<supervise::Service*> named(Conductor& conductor, const Json& params) {
  SB_TRY(const std::string name, json_string(params, "name"));
  SB_TRY(supervise::Service* const service, conductor.supervisor().get(name));
  const activation::ActivationCycle* running = conductor.activator().running();
  if (running != nullptr && (running->plan().continues(name) || running->plan().before_of(name) != nullptr)) {
    return fail(ErrorKind::conflict,
                fmt::format("service {} is being swapped by cycle {}", name,
                            history::cycle_name(running->plan().to.cycle)),
                "selfbuild status");
  }
  return service;
}

// What a drain leaves. Much may have happened while it lasted: a swap, a start, the same method again.
Result<Json> remove_drained(Conductor& conductor, const Json& params) {
  const Result<supervise::Service*> service = named(conductor, params);
  if (!service) {
    if (service.error().kind == ErrorKind::not_found) return Json::object();
    return fail(service.error());
  }
  const std::string name = (*service)->deployment().spec.name;
  if ((*service)->wanted() || (*service)->live_runs() || (*service)->has_incoming()) {
    return fail(ErrorKind::conflict, fmt::format("service {} was started again meanwhile", name),
                "selfbuild status");
  }
  conductor.supervisor().remove(name);
  return Json::object();
}

rpc::Method on_named(Conductor& conductor, std::function<void(supervise::Service&, const rpc::Reply&)> act) {
  return [&conductor, act = std::move(act)](const rpc::Request& request, const rpc::Reply& reply) {
    const Result<supervise::Service*> service = named(conductor, request.params);
    if (!service) return reply(fail(service.error()));
    act(**service, reply);
  };
}

}  // namespace

void add_service_routes(Conductor& conductor) {
  conductor.server().on("service.ensure", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    reply(ensure(conductor, request.params));
  });
  const auto answer = [](supervise::Service& service, const rpc::Reply& reply) {
    return [&service, reply](const Status& up) {
      reply(up ? Result<Json>(supervise::to_json(service.status())) : fail(up.error()));
    };
  };
  conductor.server().on("service.start",
                        on_named(conductor, [answer](supervise::Service& service, const rpc::Reply& reply) {
                          service.start(answer(service, reply));
                        }));
  conductor.server().on("service.restart",
                        on_named(conductor, [answer](supervise::Service& service, const rpc::Reply& reply) {
                          service.restart(answer(service, reply));
                        }));
  conductor.server().on("service.stop",
                        on_named(conductor, [](supervise::Service& service, const rpc::Reply& reply) {
                          service.stop([&service, reply] { reply(supervise::to_json(service.status())); });
                        }));
  conductor.server().on(
      "service.remove",
      on_named(conductor, [&conductor](supervise::Service& service, const rpc::Reply& reply) {
        const Json params{{"name", service.deployment().spec.name}};
        service.stop([&conductor, params, reply] { reply(remove_drained(conductor, params)); });
      }));
}

}  // namespace sb::tool
