// selfbuild log: everything that CMake, Ninja, the tests and the candidate printed in one cycle.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "os/file_system.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/records.h"

namespace sb::tool {
namespace {

struct Options {
  std::string cycle;
  std::string project;
  bool failed = false;
};

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const history::Cycle cycle, chosen_cycle(program, options.cycle, options.project, options.failed));
  SB_TRY(const os::Home* home, program.home());
  const std::string name = history::cycle_name(cycle.id);
  const std::filesystem::path path = home->cycle(cycle.id) / "log";
  const Result<std::string> text = os::read_file(path);
  if (!text) {
    if (text.error().kind != ErrorKind::not_found) return fail(text.error());
    return fail(ErrorKind::not_found,
                fmt::format("{} has no log: it printed nothing, or gc removed it", name),
                "selfbuild explain " + name);
  }
  if (program.json()) {
    Console::json({{"cycle", name}, {"project", cycle.project}, {"path", path.string()}, {"log", *text}});
    return kDone;
  }
  // Which cycle it is goes to standard error, so that the log itself can be piped on.
  if (options.cycle.empty()) Console::say(fmt::format("{} of {} ({})", name, cycle.project, path.string()));
  Console::data(*text);
  return kDone;
}

}  // namespace

void add_log(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("log", "Look",
                  {.sentence = "Print what CMake, Ninja, tests and candidate said in one cycle.",
                   .examples = {{"selfbuild log", "the newest cycle"},
                                {"selfbuild log c-12 | less", "a certain one"},
                                {"selfbuild log --failed", "the newest that failed or was rolled back"}},
                   .changes = "nothing",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  CLI::Option* cycle =
      command.add_option("CYCLE", options->cycle, "A cycle, like c-12 (default: the newest)")->type_name("");
  command.add_flag("--failed", options->failed, "The newest that failed or was rolled back")->excludes(cycle);
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace sb::tool
