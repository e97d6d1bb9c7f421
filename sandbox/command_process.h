// The last steps between the fork of the init and the program: from here on it is the user's code.
#pragma once

#include "sandbox/init_process.h"

namespace sb::sandbox {

// Enters the groups, takes the limits, arranges descriptors and executes the program; what fails is said on
// plan.start. Async-signal-safe.
[[noreturn]] void run_command(const InitPlan& plan, pid_t init);

}  // namespace sb::sandbox
