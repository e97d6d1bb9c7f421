// selfbuild help: the page of one command, or of all.
#include <fmt/format.h>

#include "base/suggestion.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {
namespace {

Result<int> run(Program& program, const std::string& command) {
  if (command.empty()) {
    Console::data(program.overview());
    return kDone;
  }
  const std::string page = program.help_page(command);
  if (!page.empty()) {
    Console::data(page);
    return kDone;
  }
  std::vector<std::string> names;
  for (const auto& [name, manual] : program.manuals()) names.push_back(name);
  const auto near = nearest(command, names);
  return fail(
      ErrorKind::usage,
      fmt::format("there is no command {}{}", command, near ? fmt::format("; did you mean {}?", *near) : ""),
      near ? "selfbuild help " + *near : "selfbuild help");
}

}  // namespace

void add_help(Program& program) {
  auto chosen = std::make_shared<std::string>();
  CLI::App& command =
      program.add("help", "Help",
                  {.sentence = "Show the page of one command, or of all.",
                   .examples = {{"selfbuild help update", ""}, {"selfbuild help", "all commands"}},
                   .changes = "nothing",
                   .exits = {kDone, kUsage}},
                  [&program, chosen] { return run(program, *chosen); });
  command.add_option("COMMAND", *chosen, "A command, like update")->type_name("");
}

}  // namespace sb::tool
