// selfbuild doctor SERVICE: what a swap costs the users of one service.
#pragma once

#include <string>

#include "base/json.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

// Runs the live version of the service aside, as its candidate run did; nobody of its users notices.
[[nodiscard]] Result<int> check_service(Program& program, const std::string& name,
                                        const sandbox::Envelope& envelope);

}  // namespace sb::tool
