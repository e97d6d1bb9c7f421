// selfbuild conductor start|stop|status: the daemon that keeps services up.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/command.h"
#include "tool/selfbuild/worker_service.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

struct Options {
  bool services = false;
  std::string chosen;
};

Result<int> print_status(Program& program, update::ConductorLink& conductor) {
  Result<Json> status = conductor.call_once("conductor.status", Json::object());
  if (!status) return fail(std::move(status.error()));
  if (program.json()) {
    Console::json(*status);
    return kDone;
  }
  Console::data(fmt::format("the conductor runs, pid {}\n", status->value("pid", 0)));
  for (const Json& service : status->value("services", Json::array())) {
    Console::data(fmt::format("  {:<16} {:<9} pid {}\n", service.value("name", ""),
                              service.value("state", ""), service.value("pid", 0)));
  }
  return kDone;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  update::ConductorLink conductor(*home);
  if (options.chosen == "start") {
    SB_CHECK(ensure_worker(conductor));
    return print_status(program, conductor);
  }
  if (options.chosen == "status") return print_status(program, conductor);
  if (!conductor.answers()) {
    Console::say("the conductor is not running");
    return kDone;
  }
  SB_CHECK(conductor.stop(options.services));
  Console::say(options.services
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
                                {"selfbuild conductor stop --services", "and stop what it keeps up"}},
                   .changes = "the running conductor and worker",
                   .exits = {kDone, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.require_subcommand(1);
  for (const auto& [name, description] : {std::pair("start", "Start it and the worker, unless they run"),
                                          std::pair("stop", "Stop it; services run on"),
                                          std::pair("status", "Say whether it runs, and what it keeps up")}) {
    CLI::App* sub = command.add_subcommand(name, description);
    sub->set_help_flag();
    sub->callback([options, name] { options->chosen = name; });
    if (name == std::string_view("stop"))
      sub->add_flag("--services", options->services, "Stop the services, too");
  }
  program.add_json_option(command);
}

}  // namespace sb::tool
