// Help pages: one sentence, examples first, options with their real defaults, what changes on disk, exit
// codes.
#pragma once

#include <string>

#include "tool/selfbuild/command.h"

namespace sb::tool {

[[nodiscard]] std::string format_manual(const CLI::App& command, const Manual& manual);
[[nodiscard]] std::string format_overview(const CLI::App& app);
[[nodiscard]] std::string_view exit_meaning(int code);

}  // namespace sb::tool
