// selfbuild promote: make a version live that is built and tested already.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/rollout_options.h"
#include "tool/selfbuild/version_change.h"

namespace sb::tool {
namespace {

struct Options {
  std::string version;
  std::string project;
  bool force = false;
  RolloutOptions rollout;
};

// The named version, or the newest that was good in service: a candidate may be one whose cycle has died, or
// is still at it.
Result<history::Version> choose(Program& program, const Options& options) {
  SB_TRY(const std::string project, program.project_name(options.project));
  SB_TRY(history::History * past, program.history());
  if (!options.version.empty()) {
    SB_TRY(const int number, history::parse_version(options.version));
    return past->version(project, number);
  }
  SB_TRY(const std::vector<history::Version> versions, past->versions(project));
  for (const history::Version& version : versions) {
    if (version.state == history::VersionState::known_good) return version;
  }
  return fail(ErrorKind::not_found, fmt::format("no version of {} was ever good in service", project),
              "selfbuild update");
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const history::Version version, choose(program, options));
  const bool bad =
      version.state == history::VersionState::rejected || version.state == history::VersionState::rolled_back;
  if (bad && !options.force) {
    const std::string name = history::version_name(version.number);
    return fail(ErrorKind::refused,
                fmt::format("{} was {}: {}", name, history::to_string(version.state), version.state_reason),
                fmt::format("selfbuild promote {} --force", name));
  }
  SB_TRY(const Json rollout, rollout_json(options.rollout, {}));
  return change_version(program, version, history::CycleKind::promote, rollout);
}

}  // namespace

void add_promote(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("promote", "Update",
                  {.sentence = "Make a version live that is built and tested already.",
                   .examples = {{"selfbuild promote", "the newest version that was good in service"},
                                {"selfbuild promote v3", "that one"},
                                {"selfbuild promote v3 --canary 5,25 --bake 60s",
                                 "first for 5%, then for 25% of new connections; then for all, with the old "
                                 "version alive for a minute, to go back to at once"}},
                   .changes = "the pointer and the running services of the project; a row in history",
                   .exits = {kDone, kRefused, kUsage, kRolledBack, kUnavailable, kInterrupted}},
                  [&program, options] { return run(program, *options); });
  command.add_option("VERSION", options->version,
                     "The version, like v3 (default: the newest that was good in service)");
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  command.add_flag("--force", options->force, "Also a version that was rejected or rolled back before");
  add_rollout_options(command, options->rollout, "");
  program.add_json_option(command);
}

}  // namespace sb::tool
