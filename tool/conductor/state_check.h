// conductor check-state: whether this program reads the state that there is. Asked of a new conductor before
// it takes over, in a process of its own.
#pragma once

#include <string>

#include "base/result.h"
#include "os/home.h"

namespace sb::tool {

// Works on a copy of the database; the database itself is only read. Migrates the copy, and reads all that a
// conductor reads at its start. JSON: {version, found: {component: schema}, needs: {component: schema},
// migrates: bool, services: n}. conflict when a newer program has written the database; corrupt; environment.
[[nodiscard]] Result<std::string> check_state(const os::Home& home);

}  // namespace sb::tool
