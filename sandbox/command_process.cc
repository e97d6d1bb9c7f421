#include "sandbox/command_process.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/process.h"

namespace sb::sandbox {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START, sd_listen_fds(3)

[[noreturn]] void give_up(const InitPlan& plan, StartNote::Kind kind) {
  const StartNote note{.kind = kind, .value = errno};
  (void)!::write(plan.start, &note, sizeof note);
  ::_exit(127);
}

void write_own_pid(char* at) {
  std::array<char, 12> digits{};
  std::size_t count = 0;
  for (pid_t pid = ::getpid(); pid > 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  while (count > 0) *at++ = digits[--count];
  *at = '\0';
}

// When memory runs out on the whole host, the run goes before whoever started it.
void volunteer_for_oom() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, "500", 3);
  ::close(fd);
}

bool arrange_descriptors(const InitPlan& plan) {
  // All of ours lie above the sockets' final numbers, so that none is overwritten on the way.
  int next = kFirstSocket;
  for (const int socket : plan.sockets) {
    if (::dup2(socket, next++) < 0) return false;
  }
  if (::dup2(plan.null, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.output, 2) < 0) return false;
  // On exec, not now: the note of a failing exec still has to get out.
  return ::close_range(static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

}  // namespace

void run_command(const InitPlan& plan, pid_t init) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != init) ::_exit(127);  // it died before the call above
  for (const int entry : plan.group_entries) {
    if (::write(entry, "0", 1) != 1) give_up(plan, StartNote::Kind::group);
  }
  volunteer_for_oom();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(plan, StartNote::Kind::limits);
  if (!arrange_descriptors(plan)) give_up(plan, StartNote::Kind::descriptors);
  if (plan.view != nullptr && !plan.view->enter()) give_up(plan, StartNote::Kind::view);
  if (::chdir(plan.directory) != 0) give_up(plan, StartNote::Kind::directory);
  if (plan.listen_pid != nullptr) write_own_pid(plan.listen_pid);
  // Signals were blocked for the init; a mask survives exec.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const ProcessLimit& limit : plan.process_limits) {
    const rlimit value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0) {
      give_up(plan, StartNote::Kind::limits);
    }
  }
  os::execute(plan.program, plan.argv, plan.environment);
  give_up(plan, StartNote::Kind::program);
}

}  // namespace sb::sandbox
