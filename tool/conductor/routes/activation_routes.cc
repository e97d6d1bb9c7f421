// activation.begin, activation.wait, cycle.begin.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/conductor/conductor.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

// All but the cycle, which cycle.begin does not have yet.
Result<activation::Request> request_from(const Json& params) {
  activation::Request request;
  SB_TRY(request.project, json_string(params, "project"));
  if (request.project.empty() || request.project.find('/') != std::string::npos ||
      request.project.starts_with('.')) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is no name for a project", request.project));
  }
  SB_TRY(const long long version, json_integer(params, "version"));
  if (version < 1 || version > 1'000'000'000) return fail(ErrorKind::usage, "\"version\" is out of range");
  request.version = static_cast<int>(version);
  SB_TRY(const std::string directory, json_string(params, "directory"));
  request.directory = directory;
  SB_TRY(request.services, supervise::services_from_json(params.value("services", Json())));
  SB_TRY(request.rollout, activation::rollout_from_json(params.value("rollout", Json::object())));
  return request;
}

Result<Json> begin_activation(Conductor& conductor, const Json& params) {
  SB_TRY(activation::Request request, request_from(params));
  SB_TRY(request.cycle, json_integer(params, "cycle"));
  SB_CHECK(conductor.activator().begin(request));
  return Json::object();
}

Result<history::Cycle> cycle_from(const Json& params) {
  history::Cycle cycle;
  SB_TRY(const std::string kind, json_string(params, "kind"));
  if (kind != "promote" && kind != "rollback") {
    return fail(ErrorKind::usage,
                fmt::format("a cycle without a task is a promote or a rollback, not \"{}\"", kind));
  }
  cycle.kind = kind == "promote" ? history::CycleKind::promote : history::CycleKind::rollback;
  SB_TRY(const long long from, json_integer_or(params, "from", 0));
  if (from > 0) cycle.from_version = static_cast<int>(from);
  SB_TRY(cycle.improvement_plan, json_string_or(params, "plan", "{}"));
  SB_TRY(cycle.triggered_by, json_string_or(params, "triggered_by", ""));
  return cycle;
}

Result<Json> begin_cycle(Conductor& conductor, const Json& params) {
  SB_TRY(activation::Request request, request_from(params));
  SB_TRY(history::Cycle cycle, cycle_from(params));
  // Asked before there is a row: a refusal for lack of patience is no event in the project's history.
  SB_CHECK(conductor.activator().check(request, cycle.triggered_by));
  cycle.project = request.project;
  cycle.version = request.version;
  cycle.commit = "";
  const Json planned{
      {"title", fmt::format("{} {}", history::to_string(cycle.kind), history::version_name(request.version))},
      {"version", request.version}};
  SB_TRY(request.cycle, conductor.history().begin_cycle(cycle, dump_json(planned)));
  SB_CHECK(conductor.activator().begin(request));
  return Json{{"cycle", request.cycle}};
}

}  // namespace

void add_activation_routes(Conductor& conductor) {
  conductor.server().on("activation.begin",
                        [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
                          reply(begin_activation(conductor, request.params));
                        });
  conductor.server().on(
      "activation.wait", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
        const Result<long long> cycle = json_integer(request.params, "cycle");
        if (!cycle) return reply(fail(cycle.error()));
        conductor.activator().wait(*cycle, [reply](const Result<activation::Outcome>& outcome) {
          if (!outcome) return reply(fail(outcome.error()));
          reply(Json{{"outcome", outcome->outcome}, {"cause", outcome->cause}});
        });
      });
  conductor.server().on("cycle.begin", [&conductor](const rpc::Request& request, const rpc::Reply& reply) {
    reply(begin_cycle(conductor, request.params));
  });
}

}  // namespace sb::tool
