// Depfiles: the rules for make(1) in which compilers and generators report what they read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb::cache {

// The prerequisites of all rules, in order, each once. "\ " is a blank, "\#" a hash sign, "$$" a dollar sign,
// "\" before a line end joins lines (GCC's and Clang's dialect). corrupt without a colon.
[[nodiscard]] Result<std::vector<std::string>> parse_depfile(std::string_view text);

}  // namespace sb::cache
