// The crash suite's way in: dies by SIGKILL right after a journal record, where the environment says so; or
// stands still there, so that the suite can kill the other program in just that moment.
//
//   SELFBUILD_CRASH_AFTER  the step, e.g. "pointed"
//   SELFBUILD_CRASH_IN     the program: "conductor" or "selfbuild"
//   SELFBUILD_CRASH_ONCE   a file that must not exist yet and is created: so each crash happens once
//                          and, its pid being in it, is seen from outside
//   SELFBUILD_CRASH_HOW    "stop": SIGSTOP to itself instead
// Compiled in always, so that what is tested is what is installed. Without the first three variables it does
// nothing.
#pragma once

#include <string_view>

namespace sb::history {

inline constexpr const char* kCrashVariables[] = {"SELFBUILD_CRASH_AFTER", "SELFBUILD_CRASH_IN",
                                                  "SELFBUILD_CRASH_ONCE", "SELFBUILD_CRASH_HOW"};

// Called when the record of this step is durable.
void crash_point(std::string_view step);

}  // namespace sb::history
