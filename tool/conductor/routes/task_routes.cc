// task.submit, claim, complete, list.
#include <nlohmann/json.hpp>

#include "tool/conductor/conductor.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

Result<Json> submit(Conductor& conductor, const Json& params) {
  history::Cycle cycle;
  bus::Task task;
  SB_TRY(cycle.project, json_string(params, "project"));
  SB_TRY(const std::string kind, json_string_or(params, "kind", "update"));
  if (kind != "update")
    return fail(ErrorKind::usage, "a task is an update; promote and rollback begin a cycle");
  SB_TRY(cycle.commit, json_string_or(params, "commit", ""));
  SB_TRY(const long long from, json_integer_or(params, "from", 0));
  if (from > 0) cycle.from_version = static_cast<int>(from);
  SB_TRY(cycle.improvement_plan, json_string(params, "plan"));
  SB_TRY(cycle.triggered_by, json_string_or(params, "triggered_by", ""));
  // Before anything is built.
  SB_CHECK(conductor.activator().check_pins(cycle.project, cycle.triggered_by));
  SB_TRY(task.title, json_string_or(params, "title", ""));
  task.payload = cycle.improvement_plan;
  task.created_ms = conductor.history().clock().unix_ms();

  std::int64_t task_id = 0;
  const auto add_task = [&](std::int64_t cycle_id) -> Status {
    task.cycle = cycle_id;
    SB_TRY(task_id, conductor.tasks().add(task));
    return {};
  };
  const Json planned{{"title", task.title}, {"commit", cycle.commit}};
  SB_TRY(const std::int64_t id, conductor.history().begin_cycle(cycle, dump_json(planned), add_task));
  conductor.leases().dispatch();
  return Json{{"task", task_id}, {"cycle", id}};
}

Result<Json> complete(Conductor& conductor, const Json& params) {
  SB_TRY(const long long task, json_integer(params, "task"));
  SB_TRY(const long long attempt, json_integer(params, "attempt"));
  SB_TRY(const bool ok, json_bool_or(params, "ok", false));
  const std::string result = params.contains("result") ? dump_json(params["result"]) : "{}";
  SB_CHECK(conductor.leases().complete(task, static_cast<int>(attempt), ok, result));
  return Json::object();
}

Result<Json> list(Conductor& conductor) {
  SB_TRY(const std::vector<bus::Task> tasks, conductor.tasks().list());
  Json all = Json::array();
  for (const bus::Task& task : tasks) {
    all.push_back({{"task", task.id},
                   {"cycle", task.cycle},
                   {"title", task.title},
                   {"status", task.status},
                   {"attempt", task.attempt},
                   {"created_ms", task.created_ms},
                   {"result", task.result.empty() ? Json() : parse_json(task.result).value_or(Json())}});
  }
  return Json{{"tasks", std::move(all)}};
}

}  // namespace

void add_task_routes(Conductor& conductor) {
  rpc::Server& server = conductor.server();
  server.on("task.submit", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    reply(submit(conductor, request.params));
  });
  server.on("task.claim", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    conductor.leases().claim(request.connection, reply);
  });
  server.on("task.complete", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    reply(complete(conductor, request.params));
  });
  server.on("task.list",
            [&conductor](const rpc::Request&, const rpc::Reply& reply) { reply(list(conductor)); });
  server.on_disconnect(
      [&conductor](rpc::ConnectionId connection) { conductor.leases().disconnected(connection); });
}

}  // namespace sb::tool
