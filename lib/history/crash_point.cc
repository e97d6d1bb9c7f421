#include "history/crash_point.h"

#include <cerrno>  // program_invocation_short_name, a GNU extension
#include <csignal>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/process.h"

namespace sb::history {

void crash_point(std::string_view step) {
  if (os::environment_variable("SELFBUILD_CRASH_AFTER") != step) return;
  if (os::environment_variable("SELFBUILD_CRASH_IN") != program_invocation_short_name) return;
  const std::string once = os::environment_variable("SELFBUILD_CRASH_ONCE");
  if (once.empty()) return;
  const UniqueFd mark(::open(once.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!mark) return;
  ::dprintf(mark.get(), "%d\n", ::getpid());
  // Not kill(): a stop that is raised takes effect in this thread before the next instruction.
  (void)::raise(os::environment_variable("SELFBUILD_CRASH_HOW") == "stop" ? SIGSTOP : SIGKILL);
}

}  // namespace sb::history
