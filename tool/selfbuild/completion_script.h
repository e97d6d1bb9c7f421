// Completion scripts for shells, made from the tree of commands and options, so that they cannot fall behind
// it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace sb::tool {

// For "bash", "zsh" or "fish"; nothing for another shell. What an option wants is read from its type name:
// DIR and FILE complete to paths, "a|b" to the words, COMMAND to the names of the commands.
[[nodiscard]] std::optional<std::string> completion_script(const CLI::App& app, std::string_view shell);

}  // namespace sb::tool
