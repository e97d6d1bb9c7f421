// selfbuild conductor start|stop|status|upgrade: the daemon that keeps services up.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/command.h"
#include "tool/selfbuild/conductor_upgrade.h"
#include "tool/selfbuild/worker_service.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

struct Options {
  bool services = false;
  std::string file;
  bool migrate = false;
  std::string chosen;
};

Result<int> print_status(Program& program, update::ConductorLink& conductor) {
  Result<Json> status = conductor.call_once("conductor.status", Json::object());
  if (!status) return fail(std::move(status.error()));
  if (program.json()) {
    Console::json(*status);
    return kDone;
  }
  Console::data(fmt::format("the conductor runs, pid {}, version {}\n", status->value("pid", 0),
                            status->value("version", "")));
  const Json binary = status->value("program", Json::object());
  for (const char* key : {"path", "previous", "rejected"}) {
    const std::string path = binary.value(key, "");
    if (!path.empty())
      Console::data(fmt::format("  {:<16} {}\n", key == std::string_view("path") ? "program" : key, path));
  }
  if (status->value("keeper", false)) {
    Console::data(fmt::format("  {:<16} {}\n", "boots", binary.value("boots", 0)));
  } else {
    // It works on, but nobody starts it again when it dies.
    Console::data(fmt::format("  {:<16} {}\n", "keeper",
                              "gone; selfbuild conductor stop && selfbuild conductor start"));
  }
  for (const Json& service : status->value("services", Json::array())) {
    Console::data(fmt::format("  {:<16} {:<9} pid {}\n", service.value("name", ""),
                              service.value("state", ""), service.value("pid", 0)));
  }
  return kDone;
}

std::string_view to_string(ConductorUpgrade::Outcome outcome) {
  switch (outcome) {
    case ConductorUpgrade::Outcome::taken_over:
      return "taken_over";
    case ConductorUpgrade::Outcome::unchanged:
      return "unchanged";
    case ConductorUpgrade::Outcome::went_back:
      return "went_back";
    case ConductorUpgrade::Outcome::at_next_start:
      return "at_next_start";
  }
  return "taken_over";
}

std::string told(const ConductorUpgrade& upgrade) {
  using Outcome = ConductorUpgrade::Outcome;
  if (upgrade.outcome == Outcome::unchanged) return fmt::format("conductor {} runs already", upgrade.version);
  if (upgrade.outcome == Outcome::at_next_start) {
    return fmt::format("conductor {} runs from the next start on", upgrade.version);
  }
  if (upgrade.outcome == Outcome::went_back) {
    return fmt::format("the conductor before runs again, pid {}: conductor {} died over and over",
                       upgrade.pid, upgrade.version);
  }
  return fmt::format("conductor {} runs now, pid {}; it took over within {} ms, and the services ran on\n{}",
                     upgrade.version, upgrade.pid, upgrade.away.count(),
                     upgrade.previous.empty()
                         ? "there is no way back: the database has a new form"
                         : "the one before comes back when it dies three times in a row");
}

Result<int> upgrade(Program& program, const os::Home& home, const Options& options) {
  update::ConductorLink conductor(home);
  SB_TRY(const ConductorUpgrade upgrade,
         upgrade_conductor(home, conductor, program.directory() / options.file, options.migrate));
  if (program.json()) {
    Console::json({{"outcome", to_string(upgrade.outcome)},
                   {"version", upgrade.version},
                   {"program", upgrade.program.string()},
                   {"previous", upgrade.previous.string()},
                   {"pid", upgrade.pid},
                   {"away_ms", upgrade.away.count()}});
  } else {
    Console::say(told(upgrade));
  }
  return upgrade.outcome == ConductorUpgrade::Outcome::went_back ? kRolledBack : kDone;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  update::ConductorLink conductor(*home);
  if (options.chosen == "start") {
    SB_CHECK(ensure_worker(conductor));
    return print_status(program, conductor);
  }
  if (options.chosen == "upgrade") return upgrade(program, *home, options);
  if (options.chosen == "status") return print_status(program, conductor);
  SB_TRY(const bool stopped, conductor.stop(options.services));
  Console::say(!stopped ? "the conductor is not running"
               : options.services
                   ? "the conductor and its services have stopped"
                   : "the conductor has stopped; its services run on and are adopted at the next start");
  return kDone;
}

}  // namespace

void add_conductor(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("conductor", "Keep",
                  {.sentence = "Start, stop or look at the daemon that keeps services up.",
                   .examples = {{"selfbuild conductor start",
                                 "in the background; every command that needs it does this by itself"},
                                {"selfbuild conductor stop --services", "and stop what it keeps up"},
                                {"selfbuild conductor upgrade ./conductor",
                                 "another program takes over, once it has shown that it reads the state; "
                                 "services run on"}},
                   .changes = "the running conductor and worker; copies of conductors in the state folder",
                   .exits = {kDone, kRefused, kUsage, kRolledBack, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.require_subcommand(1);
  for (const auto& [name, description] : {std::pair("start", "Start it and the worker, unless they run"),
                                          std::pair("stop", "Stop it; services run on"),
                                          std::pair("status", "Say whether it runs, and what it keeps up"),
                                          std::pair("upgrade", "Have another program take over from it")}) {
    CLI::App* sub = command.add_subcommand(name, description);
    sub->set_help_flag();
    sub->callback([options, name] { options->chosen = name; });
    if (name == std::string_view("stop"))
      sub->add_flag("--services", options->services, "Stop the services, too");
    if (name == std::string_view("upgrade")) {
      sub->add_option("FILE", options->file, "The new conductor")->required();
      sub->add_flag("--migrate", options->migrate,
                    "Also when the database gets a form that the one before cannot read");
    }
  }
  program.add_json_option(command);
}

}  // namespace sb::tool
