// The crash suite's way in: dies by SIGKILL right after a journal record, where the environment says so.
//
//   SELFBUILD_CRASH_AFTER  the step, e.g. "pointed"
//   SELFBUILD_CRASH_IN     the program: "conductor" or "selfbuild"
//   SELFBUILD_CRASH_ONCE   a file that must not exist yet and is created: so each crash happens once
// Compiled in always, so that what is tested is what is installed. Without all three variables it does
// nothing.
#pragma once

#include <string_view>

namespace sb::history {

// Called when the record of this step is durable.
void crash_point(std::string_view step);

}  // namespace sb::history
