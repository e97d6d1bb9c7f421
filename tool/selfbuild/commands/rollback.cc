// selfbuild rollback: go back to the version that was live before, or to an older one.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/version_change.h"
#include "update/live.h"

namespace sb::tool {
namespace {

struct Options {
  std::string version;
  std::string project;
};

Result<history::Version> chosen_without_name(Program& program, const std::string& project) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  SB_TRY(const std::optional<int> live, update::live_version(*home, project));
  if (!live)
    return fail(ErrorKind::not_found, fmt::format("{} has no live version", project), "selfbuild update");
  SB_TRY(const std::vector<history::Cycle> cycles, past->cycles(project));
  SB_TRY(const std::vector<history::Version> versions, past->versions(project));
  const std::optional<int> before = version_before(cycles, versions, *live);
  if (before) return past->version(project, *before);
  return fail(ErrorKind::not_found,
              fmt::format("no version before {} was ever good in service", history::version_name(*live)),
              "selfbuild history");
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const std::string project, program.project_name(options.project));
  SB_TRY(history::History * past, program.history());
  if (options.version.empty()) {
    SB_TRY(const history::Version version, chosen_without_name(program, project));
    return change_version(program, version, history::CycleKind::rollback, Json::object());
  }
  SB_TRY(const int number, history::parse_version(options.version));
  SB_TRY(const history::Version version, past->version(project, number));
  if (version.state != history::VersionState::known_good) {
    const std::string name = history::version_name(number);
    return fail(
        ErrorKind::refused,
        fmt::format("{} was never good in service: it is {}", name, history::to_string(version.state)),
        "selfbuild promote " + name);
  }
  return change_version(program, version, history::CycleKind::rollback, Json::object());
}

}  // namespace

void add_rollback(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "rollback", "Update",
      {.sentence = "Go back to the version that was live before, or to an older one that was good.",
       .examples = {{"selfbuild rollback", "the version before"}, {"selfbuild rollback v1", "that one"}},
       .changes = "the pointer and the running services of the project; a row in history",
       .exits = {kDone, kRefused, kUsage, kRolledBack, kUnavailable, kInterrupted}},
      [&program, options] { return run(program, *options); });
  command.add_option("VERSION", options->version, "The version, like v1 (default: the one before)");
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace sb::tool
