#include "tool/selfbuild/overview.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/screen.h"
#include "tool/selfbuild/table.h"
#include "update/candidate_record.h"
#include "update/conductor_link.h"
#include "update/live.h"

namespace sb::tool {
namespace {

using history::BuildStatus;
using Style = Console::Style;

Result<Overview::Project> look_at(const os::Home& home, history::History& past, const std::string& name) {
  Overview::Project project{.name = name, .live = {}, .live_since_ms = {}, .last = {}};
  SB_TRY(project.live, update::live_version(home, name));
  SB_TRY(const std::vector<history::Cycle> cycles, past.cycles(name));
  for (const history::Cycle& cycle : cycles) {
    if (!cycle.completed_ms) continue;
    if (!project.last) project.last = cycle;
    const bool put_it_live =
        cycle.status == BuildStatus::completed && project.live && cycle.version == project.live;
    if (put_it_live && !project.live_since_ms) project.live_since_ms = cycle.completed_ms;
  }
  return project;
}

std::string member(const Json& object, std::string_view key) {
  return json_string_or(object, key, "").value_or("");
}
std::int64_t number(const Json& object, std::string_view key) {
  return json_integer_or(object, key, 0).value_or(0);
}

Json list_of(const std::shared_ptr<const Json>& status, const char* key) {
  if (!status || !status->is_object()) return Json::array();
  const auto found = status->find(key);
  return found != status->end() && found->is_array() ? *found : Json::array();
}

std::string project_line(const Overview::Project& project, const Console& console, std::int64_t now,
                         int name_width) {
  std::string line = fmt::format("{:<{}}  ", project.name, name_width);
  if (!project.live) return line + "no version is live yet\n";
  line += console.styled(Style::green, fmt::format("{} is live", history::version_name(*project.live)));
  if (project.live_since_ms) {
    line += fmt::format(", since {} ({})", short_time(*project.live_since_ms, now),
                        age(now - *project.live_since_ms));
  }
  return line + '\n';
}

// Of the versions that run, as their candidate runs showed it; a version of an older selfbuild has nothing to
// say.
std::map<std::string, std::string> levels_of(history::History& past, const Json& services) {
  std::map<std::string, std::string> levels;
  for (const Json& service : services) {
    const auto version =
        past.version(member(service, "project"), static_cast<int>(number(service, "version")));
    if (!version) continue;
    const auto cooperation = update::cooperation_of(past, *version);
    if (!cooperation) continue;
    for (const testrun::Cooperation& one : *cooperation) {
      if (one.service == member(service, "name")) levels[one.service] = testrun::to_string(one.level);
    }
  }
  return levels;
}

std::string joined_sockets(const Json& service, const std::map<std::string, std::string>& levels) {
  std::vector<std::string> sockets;
  if (const auto found = service.find("sockets"); found != service.end() && found->is_array()) {
    for (const Json& socket : *found) {
      if (socket.is_string()) sockets.push_back(socket.get<std::string>());
    }
  }
  std::vector<std::string> notes{member(service, "steering")};
  if (const auto level = levels.find(member(service, "name")); level != levels.end())
    notes.push_back(level->second);
  std::erase(notes, "");
  return join(sockets, " ") +
         (notes.empty() || sockets.empty() ? "" : fmt::format(" ({})", join(notes, ", ")));
}

// A service that is well needs no words; what it said last explains one that is not. And what no swap may
// move is said together with the command that changes it.
std::string note_of(const Json& service, bool well) {
  std::vector<std::string> notes;
  if (!well) {
    const std::string said = member(service, "status_text");
    notes.push_back(said.empty() ? member(service, "last_exit") : said);
  }
  if (const std::string pin = member(service, "pin"); !pin.empty()) {
    notes.push_back(fmt::format("{}: {} (selfbuild unpin {} --project {})", pin,
                                member(service, "pin_reason"), member(service, "name"),
                                member(service, "project")));
  }
  if (const std::string standby = member(service, "standby"); !standby.empty() && standby != "ready") {
    notes.push_back("standby: " + standby);
  }
  std::erase(notes, "");
  return join(notes, "; ");
}

std::string service_table(const Json& services, const std::map<std::string, std::string>& levels,
                          const Console& console, std::int64_t now) {
  Table table({{"SERVICE"},
               {"VERSION"},
               {"STATE"},
               {"FOR"},
               {"PID", Table::Align::right},
               {"RESTARTS", Table::Align::right},
               {"SOCKETS"}});
  for (const Json& service : services) {
    const std::string state = member(service, "state");
    const std::int64_t pid = number(service, "pid");
    const std::int64_t since = number(service, "since_ms");
    const auto version = static_cast<int>(number(service, "version"));
    const bool well = state == "running";
    const bool on_its_way = state == "starting" || state == "reloading" || state == "stopping";
    table.add({member(service, "name"), version > 0 ? history::version_name(version) : "-",
               console.styled(well         ? Style::green
                              : on_its_way ? Style::bold
                                           : Style::red,
                              state),
               since > 0 ? age(now - since) : "-", pid > 0 ? fmt::to_string(pid) : "-",
               fmt::to_string(number(service, "restarts")), joined_sockets(service, levels)},
              note_of(service, well));
  }
  return table.render(console.columns);
}

// A swap that waits for a person.
std::string pause_line(const Overview& overview, const Console& console) {
  if (!overview.conductor) return {};
  const Json activation = overview.conductor->value("activation", Json(nullptr));
  if (!activation.is_object() || !json_bool_or(activation, "paused", false).value_or(false)) return {};
  return console.styled(Style::bold,
                        fmt::format("the swap of {} is paused at {}: selfbuild resume, or selfbuild abort",
                                    member(activation, "project"), member(activation, "step"))) +
         '\n';
}

std::string cycle_lines(const Overview& overview, const Console& console, std::int64_t now) {
  std::string text;
  const auto line = [&](std::string_view label, const history::Cycle& cycle, const std::string& rest) {
    text += cut_to_columns(
                fmt::format("{:<9}{} {} of {}{}", label, history::cycle_name(cycle.id),
                            history::to_string(cycle.kind), cycle.project, rest.empty() ? "" : ": " + rest),
                console.columns) +
            '\n';
  };
  for (const Overview::Open& open : overview.open) {
    if (open.waits()) continue;
    line("running", open.cycle, title_of(open.cycle));
    text += cut_to_columns(
                fmt::format("         {} ({} ago)", sentence(*open.record), age(now - open.record->at_ms)),
                console.columns) +
            '\n';
  }
  for (const Overview::Open& open : overview.open) {
    if (open.waits()) line("waiting", open.cycle, title_of(open.cycle));
  }
  for (const Overview::Project& project : overview.projects) {
    if (!project.last) continue;
    const history::Cycle& last = *project.last;
    line("last", last,
         fmt::format("{}{}{}", words(history::to_string(last.status)),
                     last.version ? " " + history::version_name(*last.version) : "",
                     last.status == BuildStatus::completed ? "" : ", " + reason_of(last)));
  }
  return text;
}

Json open_json(const Overview::Open& open) {
  Json value = cycle_json(open.cycle, 0);
  value["step"] = open.record ? Json(history::to_string(open.record->step)) : Json(nullptr);
  value["step_since"] = open.record ? Json(iso_time(open.record->at_ms)) : Json(nullptr);
  value["sentence"] = open.record ? Json(sentence(*open.record)) : Json(nullptr);
  return value;
}

}  // namespace

Result<Overview> look(Program& program) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  Overview overview;
  SB_TRY(const std::vector<std::string> names, past->projects());
  for (const std::string& name : names) {
    SB_TRY(Overview::Project project, look_at(*home, *past, name));
    overview.projects.push_back(std::move(project));
  }
  SB_TRY(std::vector<history::Cycle> open, past->unfinished());
  for (history::Cycle& cycle : open) {
    SB_TRY(std::optional<history::JournalRecord> record, past->last_record(cycle.id));
    overview.open.push_back({.cycle = std::move(cycle), .record = std::move(record)});
  }
  update::ConductorLink link(*home);
  Result<Json> status = link.call_once("conductor.status", Json::object());
  if (status) {
    overview.conductor = std::make_shared<const Json>(std::move(*status));
    overview.levels = levels_of(*past, list_of(overview.conductor, "services"));
  } else {
    overview.conductor_problem = status.error().what;
  }
  return overview;
}

Json overview_json(const Overview& overview) {
  Json projects = Json::array();
  for (const Overview::Project& project : overview.projects) {
    projects.push_back(
        {{"name", project.name},
         {"live", version_or_null(project.live)},
         {"live_since", project.live_since_ms ? Json(iso_time(*project.live_since_ms)) : Json(nullptr)},
         {"last", project.last ? cycle_json(*project.last, 0) : Json(nullptr)}});
  }
  Json running = Json::array();
  Json waiting = Json::array();
  for (const Overview::Open& open : overview.open)
    (open.waits() ? waiting : running).push_back(open_json(open));
  Json conductor = nullptr;
  Json activation = nullptr;
  if (overview.conductor) {
    conductor = {{"pid", number(*overview.conductor, "pid")},
                 {"version", member(*overview.conductor, "version")},
                 {"started", iso_time(number(*overview.conductor, "started_ms"))},
                 {"keeper", json_bool_or(*overview.conductor, "keeper", false).value_or(false)},
                 {"home", member(*overview.conductor, "home")}};
    activation = overview.conductor->value("activation", Json(nullptr));
  }
  Json services = list_of(overview.conductor, "services");
  for (Json& service : services) {
    const auto level = overview.levels.find(member(service, "name"));
    service["level"] = level == overview.levels.end() ? "" : level->second;
  }
  return {{"projects", std::move(projects)}, {"conductor", std::move(conductor)},
          {"services", std::move(services)}, {"activation", std::move(activation)},
          {"running", std::move(running)},   {"waiting", std::move(waiting)}};
}

std::string overview_screen(const Overview& overview, const Console& console, std::int64_t now_ms) {
  std::string text;
  int name_width = 0;
  for (const Overview::Project& project : overview.projects)
    name_width = std::max(name_width, width_of(project.name));
  for (const Overview::Project& project : overview.projects) {
    text += project_line(project, console, now_ms, name_width);
  }
  if (overview.projects.empty()) text += "nothing was ever built here\n";
  const Json services = list_of(overview.conductor, "services");
  text += '\n';
  if (overview.conductor) {
    text += fmt::format("conductor: pid {}, up {}{}\n", number(*overview.conductor, "pid"),
                        age(now_ms - number(*overview.conductor, "started_ms")),
                        services.empty() ? ", keeps nothing up" : "");
  } else {
    text += console.styled(Style::red, overview.conductor_problem) + '\n';
  }
  if (!services.empty()) text += service_table(services, overview.levels, console, now_ms);
  text += pause_line(overview, console);
  const std::string cycles = cycle_lines(overview, console, now_ms);
  return cycles.empty() ? text : text + '\n' + cycles;
}

}  // namespace sb::tool
