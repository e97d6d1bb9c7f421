// promote and rollback: make a version that exists the live one. The conductor does it; no worker is needed.
#pragma once

#include <optional>
#include <vector>

#include "base/json.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

// What the live version replaced: where a roll-back goes. Never a version that did not prove itself in
// service. Cycles newest first.
[[nodiscard]] std::optional<int> version_before(const std::vector<history::Cycle>& cycles,
                                                const std::vector<history::Version>& versions, int live);

// Lays the version out, asks the conductor to activate it, and follows the cycle to its end.
// rollout: see cycle.begin in lib/rpc/METHODS.md.
[[nodiscard]] Result<int> change_version(Program& program, const history::Version& chosen,
                                         history::CycleKind kind, const Json& rollout);

}  // namespace sb::tool
