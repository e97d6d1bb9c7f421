#include "tool/selfbuild/records.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::tool {
namespace {

using history::BuildStatus;

bool went_wrong(const history::Cycle& cycle) {
  return cycle.status == BuildStatus::failed || cycle.status == BuildStatus::rolled_back;
}

Result<history::Cycle> newest_cycle(Program& program, const std::string& given, bool only_failed) {
  std::string project = given;
  if (!given.empty()) {
    SB_TRY(project, program.project_name(given));
  } else if (const auto here = program.project()) {
    project = here->file.name;
  }
  SB_TRY(history::History * past, program.history());
  SB_TRY(const std::vector<history::Cycle> cycles, past->cycles(project));
  const auto found =
      std::ranges::find_if(cycles, [&](const auto& cycle) { return !only_failed || went_wrong(cycle); });
  if (found != cycles.end()) return *found;
  const std::string of = project.empty() ? "" : " of " + project;
  if (only_failed && !cycles.empty()) {
    return fail(ErrorKind::not_found, fmt::format("no cycle{} has failed", of), "selfbuild history");
  }
  return fail(ErrorKind::not_found, fmt::format("there are no cycles{} yet", of), "selfbuild update");
}

}  // namespace

Result<history::Cycle> chosen_cycle(Program& program, const std::string& argument, const std::string& project,
                                    bool only_failed) {
  if (argument.empty()) return newest_cycle(program, project, only_failed);
  Result<std::int64_t> parsed = history::parse_cycle(argument);
  if (!parsed) {
    parsed.error().next = "selfbuild history";
    return fail(std::move(parsed.error()));
  }
  const std::int64_t id = *parsed;
  SB_TRY(history::History * past, program.history());
  Result<history::Cycle> cycle = past->cycle(id);
  if (cycle || cycle.error().kind != ErrorKind::not_found) return cycle;
  SB_TRY(const std::vector<history::Cycle> newest, past->cycles("", 1));
  if (newest.empty()) {
    return fail(ErrorKind::not_found,
                fmt::format("there is no {}: no cycle has run yet", history::cycle_name(id)),
                "selfbuild update");
  }
  return fail(ErrorKind::not_found,
              fmt::format("there is no {}; the newest is {}", history::cycle_name(id),
                          history::cycle_name(newest.front().id)),
              "selfbuild history");
}

std::string title_of(const history::Cycle& cycle) {
  const Result<Json> plan = parse_json(cycle.improvement_plan);
  return plan && plan->is_object() ? json_string_or(*plan, "title", "").value_or("") : "";
}

std::string reason_of(const history::Cycle& cycle) {
  if (!cycle.rollback_reason.empty()) return cycle.rollback_reason;
  if (!cycle.failure.empty()) return cycle.failure;
  return title_of(cycle);
}

std::int64_t duration_ms(const history::Cycle& cycle, std::int64_t now_ms) {
  return std::max<std::int64_t>(0, cycle.completed_ms.value_or(now_ms) - cycle.started_ms);
}

std::string words(std::string_view identifier) {
  std::string text(identifier);
  std::ranges::replace(text, '_', ' ');
  return text;
}

Json version_or_null(const std::optional<int>& version) {
  return version ? Json(history::version_name(*version)) : Json(nullptr);
}

Json cycle_json(const history::Cycle& cycle, std::int64_t now_ms) {
  return {{"cycle", history::cycle_name(cycle.id)},
          {"project", cycle.project},
          {"kind", history::to_string(cycle.kind)},
          {"status", history::to_string(cycle.status)},
          {"version", version_or_null(cycle.version)},
          {"from", version_or_null(cycle.from_version)},
          {"commit", cycle.commit},
          {"title", title_of(cycle)},
          {"started", iso_time(cycle.started_ms)},
          {"completed", cycle.completed_ms ? Json(iso_time(*cycle.completed_ms)) : Json(nullptr)},
          {"seconds",
           cycle.completed_ms ? Json(static_cast<double>(duration_ms(cycle, now_ms)) / 1000) : Json(nullptr)},
          {"tests", cycle.test_results},
          {"health", cycle.health_check_result},
          {"reason", reason_of(cycle)},
          {"triggered_by", cycle.triggered_by}};
}

Json version_json(const history::Version& version) {
  Json outputs = Json::array();
  std::uint64_t bytes = 0;
  for (const history::OutputFile& output : version.outputs) {
    bytes += output.object.size;
    outputs.push_back({{"path", output.path},
                       {"bytes", output.object.size},
                       {"mode", fmt::format("{:04o}", output.mode)},
                       {"xxh3", output.object.xxh3},
                       {"sha256", output.sha256}});
  }
  Json options = parse_json(version.options).value_or(Json(nullptr));
  Json services = parse_json(version.services_json).value_or(Json::array());
  return {{"version", history::version_name(version.number)},
          {"project", version.project},
          {"state", history::to_string(version.state)},
          {"state_reason", version.state_reason},
          {"cycle", history::cycle_name(version.cycle)},
          {"created", iso_time(version.created_ms)},
          {"requested_by", version.requested_by},
          {"commit", version.commit},
          {"tree", version.tree},
          {"patch_sha256", version.patch_sha256},
          {"compiler", version.compiler},
          {"options", std::move(options)},
          {"services", std::move(services)},
          {"tests", version.test_results},
          {"digest", version.digest},
          {"bytes", bytes},
          {"files_kept", !version.outputs.empty()},
          {"outputs", std::move(outputs)}};
}

}  // namespace sb::tool
