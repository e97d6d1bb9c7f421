// Everything here runs after fork in a copy of a program that may have had threads: system calls only, no
// locks, no allocation.
#include "sandbox/init_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/command_process.h"
#include "sandbox/descendants.h"

namespace sb::sandbox {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSampleEvery = 10 * kMillisecond;
constexpr int kFullSampleEvery = 5;  // samples: all of /proc is read for it
constexpr int kReapAtOnce = 256;     // under a fork bomb the dead may come faster than they are collected
constexpr std::int64_t kGiveUpKilling = 20'000 * kMillisecond;

std::int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void close_all_but(std::span<const int> keep) {
  unsigned next = 0;
  for (const int fd : keep) {
    if (static_cast<unsigned>(fd) > next) ::close_range(next, static_cast<unsigned>(fd) - 1, 0);
    next = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(next, ~0U, 0);
}

// What the init knows while the command runs.
struct Watcher {
  const InitPlan& plan;
  pid_t command = -1;
  Ending ending{};
  bool command_ended = false;
  bool children_left = true;
  int signals = -1;
  std::int64_t next_sample = 0;
  int samples = 0;

  // Collects the dead, as many as may come at once. Returns how many there were.
  int reap() {
    int count = 0;
    while (count < kReapAtOnce) {
      int status = 0;
      rusage usage{};
      const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) children_left = false;  // ECHILD
      if (pid <= 0) return count;
      ++count;
      ending.cpu_us += (std::int64_t{usage.ru_utime.tv_sec} + usage.ru_stime.tv_sec) * 1'000'000 +
                       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
      ending.largest_kib = std::max<std::int64_t>(ending.largest_kib, usage.ru_maxrss);
      if (pid != command) continue;
      command_ended = true;
      ending.wait_status = status;
    }
    return count;
  }

  [[nodiscard]] bool over_cpu() const {
    if (plan.cpu_limit_ns == 0) return false;
    std::array<char, 64> text{};
    const ssize_t size = ::pread(plan.cpu_meter, text.data(), text.size(), 0);
    return size > 0 &&
           parse_cpu_meter(text.data(), static_cast<std::size_t>(size)).count() > plan.cpu_limit_ns;
  }

  [[nodiscard]] bool over_processes() {
    if (plan.process_limit == 0) return false;
    // Orphans are our children: a bomb mostly shows in the cheap count already.
    const long children = count_children();
    if (children > 0 && static_cast<unsigned long>(children) > plan.process_limit + kReapAtOnce) return true;
    return samples++ % kFullSampleEvery == 0 && count_descendants() > plan.process_limit;
  }

  [[nodiscard]] LimitHit look_at_limits() {
    const std::int64_t now = now_ns();
    if (plan.deadline_ns != 0 && now >= plan.deadline_ns) return LimitHit::wall;
    if (now < next_sample) return LimitHit::none;
    next_sample = now + kSampleEvery;
    if (over_cpu()) return LimitHit::cpu;
    return over_processes() ? LimitHit::processes : LimitHit::none;
  }

  // Milliseconds until limits must be looked at again; -1: never.
  [[nodiscard]] int patience() const {
    std::int64_t wait = -1;
    if (plan.cpu_limit_ns != 0 || plan.process_limit != 0) wait = kSampleEvery;
    if (plan.deadline_ns != 0) {
      const std::int64_t left = std::max<std::int64_t>(plan.deadline_ns - now_ns(), 0);
      wait = wait < 0 ? left : std::min(wait, left);
    }
    constexpr std::int64_t kHour = 3'600'000;
    return wait < 0 ? -1 : static_cast<int>(std::min((wait + kMillisecond - 1) / kMillisecond, kHour));
  }

  // Until the command ends or has to. Whoever is left afterwards is killed by the caller of this.
  void watch() {
    while (true) {
      reap();
      if (command_ended) return;
      ending.limit = look_at_limits();
      if (ending.limit != LimitHit::none) return;
      std::array<pollfd, 3> fds{{{.fd = signals, .events = POLLIN, .revents = 0},
                                 {.fd = plan.channel, .events = POLLIN, .revents = 0},
                                 {.fd = plan.caller, .events = POLLIN, .revents = 0}}};
      if (::poll(fds.data(), fds.size(), patience()) <= 0) continue;
      if (fds[2].revents != 0) return;  // the caller is dead
      if (fds[0].revents != 0 && was_told_to_end()) return;
      if (fds[1].revents == 0) continue;
      Order order = Order::kill_all;
      const ssize_t size = ::recv(plan.channel, &order, sizeof order, MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (size <= 0 || order == Order::kill_all) return;
      // Not reaped yet, so the group is still its own.
      ::kill(order == Order::tell_command ? command : -command, SIGTERM);
    }
  }

  [[nodiscard]] bool was_told_to_end() const {
    signalfd_siginfo info{};
    bool told = false;
    while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      told = told || info.ssi_signo == SIGTERM;
    }
    return told;
  }

  // Kills until there is no child, hence no descendant. Each one that dies hands its children to us.
  void kill_the_rest() {
    while (reap() == kReapAtOnce) {
      if (now_ns() >= plan.deadline_ns && plan.deadline_ns != 0) break;
    }  // what had ended by itself is no survivor
    if (!children_left) return;
    // Ahead of everything that still forks, for the moment that this takes. Refused without the privilege.
    const sched_param first{.sched_priority = 1};
    (void)::sched_setscheduler(0, SCHED_FIFO, &first);
    const bool command_was_over = command_ended;
    const std::int64_t give_up = now_ns() + kGiveUpKilling;
    for (int round = 0; children_left; ++round) {
      if (plan.kill_switch >= 0) (void)!::write(plan.kill_switch, "1", 1);
      // Mostly children alone: all of /proc takes so long that a fast forker is somewhere else afterwards.
      strike_descendants(round % 32 == 8);
      const int dead = reap();
      if (command_was_over) ending.survivors += dead;
      if (now_ns() > give_up && children_left) {
        ending.unkillable = 1;
        return;
      }
      if (dead > 0 || !children_left) continue;
      pollfd fd{.fd = signals, .events = POLLIN, .revents = 0};
      (void)::poll(&fd, 1, 1);
      (void)was_told_to_end();  // empties the signalfd
    }
  }
};

void send_note(int fd, StartNote::Kind kind, int value) {
  const StartNote note{.kind = kind, .value = value};
  (void)!::write(fd, &note, sizeof note);
}

int open_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  ::sigaddset(&wanted, SIGTERM);
  return ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

// All signals are blocked already, from before the fork; dispositions of the caller's must not survive
// either: an ignored SIGCHLD would reap behind our back.
void reset_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
}

}  // namespace

void run_init(const InitPlan& plan) {
  reset_signals();
  ::prctl(PR_SET_NAME, "sandbox-init");
  close_all_but(plan.keep);
  ::dup2(plan.null, 0);
  ::dup2(plan.null, 1);
  ::dup2(plan.null, 2);
  const int signals = open_signals();
  if (::setsid() < 0 || ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || signals < 0) {
    send_note(plan.start, StartNote::Kind::session, errno);
    ::_exit(1);
  }

  const pid_t init = ::getpid();
  // Nothing of a fork handler runs in the command: one of a sanitizer would start a thread there, and who has
  // two may not make a user namespace.
  const pid_t command = ::_Fork();
  if (command == 0) run_command(plan, init);
  if (command < 0) {
    send_note(plan.start, StartNote::Kind::fork, errno);
    ::_exit(1);
  }
  ::setpgid(command, command);  // here and in the command: whoever comes first
  send_note(plan.start, StartNote::Kind::pid, command);
  ::close(plan.start);
  ::close(plan.output);
  for (const int socket : plan.sockets) ::close(socket);
  // Be heard among what the command may start. Both may be refused.
  ::setpriority(PRIO_PROCESS, 0, -20);

  Watcher watcher{
      .plan = plan, .command = command, .signals = signals, .next_sample = now_ns() + kSampleEvery};
  watcher.watch();
  watcher.kill_the_rest();
  ::send(plan.channel, &watcher.ending, sizeof watcher.ending, MSG_NOSIGNAL);

  // The caller reads the group's counters, then closes the channel. Were it gone, we are the last to clean
  // up.
  std::array<pollfd, 2> fds{{{.fd = plan.channel, .events = POLLIN, .revents = 0},
                             {.fd = plan.caller, .events = POLLIN, .revents = 0}}};
  while (true) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[1].revents != 0 || (fds[0].revents & POLLHUP) != 0) break;
    char order = 0;
    if (::recv(plan.channel, &order, sizeof order, MSG_DONTWAIT) == 0) break;
  }
  for (const char* folder : plan.group_folders) (void)remove_group(folder);
  ::_exit(0);
}

}  // namespace sb::sandbox
