// selfbuild doctor: what this host can and cannot do, and the command that mends it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/host_checks.h"
#include "tool/selfbuild/service_checkup.h"
#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

using Level = Check::Level;

// The limits that tests get: of the project around here, else those that a project gets by saying nothing.
project::ProjectFile limits_of(Program& program) {
  if (const auto here = program.project()) return here->file;
  const auto plain = project::parse_project_file(
      "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: any}\nspec: {build: {outputs: [any]}}\n",
      "");
  return plain ? *plain : project::ProjectFile{};
}

Result<std::vector<Check>> all_checks(Program& program) {
  std::vector<Check> checks = check_tools();
  const auto add = [&](std::vector<Check> more) {
    for (Check& check : more) checks.push_back(std::move(check));
  };
  checks.push_back(check_repository(program.directory()));
  const Result<const os::Home*> home = program.home();
  if (!home) {
    checks.push_back(
        {"home", Level::missing, one_line(home.error()), "export SELFBUILD_HOME=/a/folder/of/yours"});
  } else {
    add(check_home(**home));
    checks.push_back(check_conductor(**home));
    add(check_kernel(**home));
  }
  add(check_limits(limits_of(program).test.envelope));
  return checks;
}

std::string page(const std::vector<Check>& checks, const Console& console) {
  std::string text;
  for (const Check& check : checks) {
    const auto style = check.level == Level::ok     ? Console::Style::green
                       : check.level == Level::weak ? Console::Style::yellow
                                                    : Console::Style::red;
    const std::string label = fmt::format(
        "{}  {:<14}", console.styled(style, fmt::format("{:<7}", to_string(check.level))), check.name);
    text += paragraph(label, check.found, console.columns);
    // Alone on its line and never broken: it is there to be copied.
    if (!check.mend.empty()) text += fmt::format("         {}\n", check.mend);
  }
  return text;
}

std::string summary(const std::vector<Check>& checks) {
  std::vector<std::string> missing;
  std::vector<std::string> weak;
  for (const Check& check : checks) {
    if (check.level == Level::missing) missing.push_back(check.name);
    if (check.level == Level::weak) weak.push_back(check.name);
  }
  if (!missing.empty())
    return fmt::format("No cycle can run here before this is mended: {}.", join(missing, ", "));
  if (!weak.empty())
    return fmt::format("A cycle can run here. Weaker than it could be: {}.", join(weak, ", "));
  return "A cycle can run here.";
}

Json checks_json(const std::vector<Check>& checks, bool can_run) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name},
                    {"level", to_string(check.level)},
                    {"found", check.found},
                    {"mend", check.mend}});
  }
  return {{"can_run_a_cycle", can_run}, {"checks", std::move(list)}};
}

Result<int> run(Program& program, const std::string& service) {
  if (!service.empty()) return check_service(program, service, limits_of(program).candidate);
  SB_TRY(const std::vector<Check> checks, all_checks(program));
  const bool can_run =
      std::ranges::none_of(checks, [](const Check& check) { return check.level == Level::missing; });
  if (program.json()) {
    Console::json(checks_json(checks, can_run));
  } else {
    Console::data(page(checks, program.console()) + '\n' +
                  paragraph("", summary(checks), program.console().columns));
  }
  return can_run ? kDone : kUnavailable;
}

}  // namespace

void add_doctor(Program& program) {
  const auto service = std::make_shared<std::string>();
  CLI::App& command = program.add(
      "doctor", "Keep",
      {.sentence = "Say what this host can and cannot do, or what a swap costs a service's users.",
       .examples =
           {{"selfbuild doctor",
             "ok, weak or missing: a line for each, with what mends it; exit code 4 when no cycle can run"},
            {"selfbuild doctor hello",
             "runs the live version of service hello aside, as its candidate run did, and tells it to end: "
             "how "
             "long it boots and drains, and whether it answers what it has begun; with the limits of the "
             "project around this folder"},
            {"selfbuild doctor --json", "for a script: .checks[].level"},
            {"selfbuild doctor hello --json", "the same of a service: .level, .boot_ms, .drain_ms, .cost"}},
       .changes =
           "nothing; it writes and removes small files and a socket in the state folder, or, of a service, a "
           "copy of its version in TMPDIR",
       .exits = {kDone, kRefused, kUsage, kUnavailable}},
      [&program, service] { return run(program, *service); });
  command.add_option("SERVICE", *service, "A service that is up")->type_name("");
  program.add_json_option(command);
}

}  // namespace sb::tool
