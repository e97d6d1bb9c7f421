// selfbuild completions: the script that completes commands and options in a shell.
#include <array>

#include "base/suggestion.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/completion_script.h"

namespace sb::tool {
namespace {

Result<int> run(Program& program, const std::string& shell) {
  if (const auto script = completion_script(program.app(), shell)) {
    Console::data(*script);
    return kDone;
  }
  static const std::array<std::string, 3> kShells = {"bash", "zsh", "fish"};
  const auto near = nearest(shell, kShells);
  Error error = make_error(ErrorKind::usage, "no completions for " + shell,
                           "selfbuild completions " + near.value_or("bash"));
  error.expected = "bash, zsh or fish";
  error.found = shell;
  return fail(std::move(error));
}

}  // namespace

void add_completions(Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App& command =
      program.add("completions", "Help",
                  {.sentence = "Print the script that completes commands in your shell.",
                   .examples = {{"source <(selfbuild completions bash)", "in ~/.bashrc"},
                                {"source <(selfbuild completions zsh)", "in ~/.zshrc, after compinit"},
                                {"selfbuild completions fish | source", "in ~/.config/fish/config.fish"}},
                   .changes = "nothing",
                   .exits = {kDone, kUsage}},
                  [&program, shell] { return run(program, *shell); });
  command.add_option("SHELL", *shell, "bash, zsh or fish")->required()->type_name("bash|zsh|fish");
}

}  // namespace sb::tool
