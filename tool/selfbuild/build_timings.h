// Where the time of a build went, as `selfbuild build --timings` shows it.
#pragma once

#include <string>

#include "base/json.h"
#include "build/builder.h"

namespace sb::tool {

// The phases, the slowest edges that ran, and what the cache saved.
[[nodiscard]] std::string build_timings(const build::BuildReport& report);
[[nodiscard]] Json build_timings_json(const build::BuildReport& report);

}  // namespace sb::tool
