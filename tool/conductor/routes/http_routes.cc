// GET /status, /metrics, /events; POST /services/NAME/restart and /rollback, and the same by the buttons of
// safe mode.
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "http/event_text.h"
#include "http/exposition.h"
#include "tool/conductor/conductor.h"
#include "tool/conductor/metrics.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

http::Response as_response(const Result<Json>& result) {
  http::Response response{.status = 200, .content_type = "application/json"};
  if (result) {
    response.body = dump_json(*result) + "\n";
  } else {
    response.status = http::status_of(result.error().kind);
    response.body = dump_json({{"error", result.error().what},
                               {"kind", to_string(result.error().kind)},
                               {"next", result.error().next}}) +
                    "\n";
  }
  return response;
}

Result<Swaps> swaps_of(history::History& history) {
  SB_TRY(
      sqlite::Statement counts,
      history.database().prepare("SELECT build_status, count(*) FROM build_history WHERE version IS NOT NULL "
                                 "AND completed_at IS NOT NULL GROUP BY build_status"));
  Swaps swaps;
  while (true) {
    SB_TRY(const bool more, counts.step());
    if (!more) return swaps;
    const std::string status = counts.text(0);
    if (status == "completed") swaps.kept = counts.integer(1);
    if (status == "rolled_back") swaps.rolled_back = counts.integer(1);
    if (status == "failed") swaps.failed = counts.integer(1);
  }
}

void answer_metrics(Conductor& conductor, const http::ExchangePtr& exchange) {
  conductor.server().call(
      "conductor.status", Json::object(), rpc::Reply([&conductor, exchange](const Result<Json>& status) {
        if (!status) return exchange->answer(as_response(status));
        const Result<Swaps> swaps = swaps_of(conductor.history());
        if (!swaps) return exchange->answer(as_response(fail(swaps.error())));
        exchange->answer(
            {.content_type = http::Exposition::kContentType, .body = metrics_text(*status, *swaps)});
      }));
}

// What cycle.begin needs to put the newest known good version before the present one into service: one that
// is laid out to run. The command line can also bring back one that is not.
// by: who asks for it, for history.
Result<Json> rollback_params(Conductor& conductor, const std::string& name, const std::string& by) {
  SB_TRY(supervise::Service* const service, conductor.supervisor().get(name));
  const supervise::Deployment& now = service->deployment();
  if (now.project.empty())
    return fail(ErrorKind::conflict, fmt::format("{} is no version of a project", name));
  SB_TRY(const std::vector<history::Version> versions, conductor.history().versions(now.project));
  std::error_code code;
  const auto before = std::ranges::find_if(versions, [&](const history::Version& one) {
    return one.number < now.version && one.state == history::VersionState::known_good &&
           std::filesystem::is_directory(conductor.home().version(now.project, one.number), code);
  });
  if (before == versions.end()) {
    return fail(ErrorKind::conflict,
                fmt::format("no version of {} before v{} is known to be good", now.project, now.version),
                "selfbuild history");
  }
  SB_TRY(const Json services, parse_json(before->services_json));
  const Json plan{{"version", before->number},
                  {"title", "rollback " + history::version_name(before->number)}};
  return Json{{"kind", "rollback"},
              {"project", now.project},
              {"from", now.version},
              {"plan", dump_json(plan)},
              {"version", before->number},
              {"directory", conductor.home().version(now.project, before->number).string()},
              {"services", services},
              {"triggered_by", by}};
}

rpc::Reply told_and_recorded(Conductor& conductor, const http::ExchangePtr& exchange,
                             const std::string& act) {
  return rpc::Reply([&conductor, exchange, act](const Result<Json>& result) {
    conductor.audit_trail().act("http", exchange->request().client, act, "name=" + exchange->request().name,
                                result);
    exchange->answer(as_response(result));
  });
}

void restart(Conductor& conductor, const std::string& name, const rpc::Reply& reply) {
  conductor.server().call("service.restart", Json{{"name", name}}, reply);
}

// expected: the version that it is to be, where somebody was told one.
void roll_back(Conductor& conductor, const std::string& name, const std::string& by,
               std::optional<int> expected, const rpc::Reply& reply) {
  const Result<Json> params = rollback_params(conductor, name, by);
  if (!params) return reply(fail(params.error()));
  if (expected && params->at("version") != *expected) {
    return reply(
        fail(ErrorKind::conflict, fmt::format("v{} is not the good version before any more", *expected)));
  }
  conductor.server().call("cycle.begin", *params, reply);
}

// Calls when the activation that has begun is over.
void wait_for_outcome(Conductor& conductor, const Result<Json>& begun,
                      const std::function<void(const Status&)>& done) {
  if (!begun) return done(fail(begun.error()));
  conductor.server().call("activation.wait", Json{{"cycle", begun->at("cycle")}},
                          rpc::Reply([done](const Result<Json>& outcome) {
                            if (!outcome) return done(fail(outcome.error()));
                            if (outcome->value("outcome", "") == "kept") return done({});
                            done(fail(ErrorKind::unhealthy, outcome->value("cause", "")));
                          }));
}

// A button of the page that the conductor serves in a service's place.
void press(Conductor& conductor, const supervise::HttpSafeMode::Press& press,
           const std::function<void(const Status&)>& done) {
  const bool back = press.act == "rollback";
  const auto record = [&conductor, act = back ? "cycle.begin" : "service.restart",
                       subject = "name=" + press.service](const Result<Json>& result) {
    conductor.audit_trail().act("safe mode", {}, act, subject, result);
  };
  if (!back) {
    return restart(conductor, press.service, rpc::Reply([record, done](const Result<Json>& result) {
                     record(result);
                     done(result ? Status() : fail(result.error()));
                   }));
  }
  roll_back(conductor, press.service, "safe mode", press.version,
            rpc::Reply([&conductor, record, done](const Result<Json>& result) {
              record(result);
              wait_for_outcome(conductor, result, done);
            }));
}

}  // namespace

void add_http_routes(Conductor& conductor) {
  http::Server& http = conductor.http();
  http.on("GET", "/status", [&conductor](const http::ExchangePtr& exchange) {
    conductor.server().call(
        "conductor.status", Json::object(),
        rpc::Reply([exchange](const Result<Json>& status) { exchange->answer(as_response(status)); }));
  });
  http.on("GET", "/metrics",
          [&conductor](const http::ExchangePtr& exchange) { answer_metrics(conductor, exchange); });
  http.on("GET", "/events", [&conductor](const http::ExchangePtr& exchange) {
    conductor.events().follow(exchange, http::last_event_id(exchange->request().fields));
  });
  http.on("POST", "/services/*/restart", [&conductor](const http::ExchangePtr& exchange) {
    restart(conductor, exchange->request().name, told_and_recorded(conductor, exchange, "service.restart"));
  });
  http.on("POST", "/services/*/rollback", [&conductor](const http::ExchangePtr& exchange) {
    roll_back(conductor, exchange->request().name, "http", std::nullopt,
              told_and_recorded(conductor, exchange, "cycle.begin"));
  });
  conductor.safe_mode().offer(
      [&conductor](const auto& pressed, const auto& done) { press(conductor, pressed, done); });
}

}  // namespace sb::tool
