// promote and rollback: make a version that exists the live one. The conductor does it; no worker is needed.
#pragma once

#include "tool/selfbuild/command.h"

namespace sb::tool {

// Lays the version out, asks the conductor to activate it, and follows the cycle to its end.
[[nodiscard]] Result<int> change_version(Program& program, const history::Version& version,
                                         history::CycleKind kind);

}  // namespace sb::tool
