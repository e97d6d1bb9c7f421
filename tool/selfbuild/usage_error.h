// What to say about a command line that cannot be understood. CLI11 finds the mistake; this finds the words.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/error.h"

namespace sb::tool {

// words: the command line without the program's name. Names the command, the nearest known word when there is
// one, and the help page as the next command.
[[nodiscard]] Error usage_error(const CLI::App& app, const CLI::ParseError& problem,
                                const std::vector<std::string>& words);

}  // namespace sb::tool
