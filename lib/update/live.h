// Which version is live: what the pointer of a project names. Nothing else decides it.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "os/home.h"

namespace sb::update {

// Nothing when no version was ever promoted. corrupt when the pointer names something that is not a version.
[[nodiscard]] Result<std::optional<int>> live_version(const os::Home& home, const std::string& project);

}  // namespace sb::update
