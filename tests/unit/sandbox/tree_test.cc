// Nothing of a run outlives it: not a daemon, not a fork bomb, not the death of the caller.
#include <array>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/text.h"
#include "sandbox/hierarchies.h"
#include "unit/sandbox/runs.h"

namespace sb::sandbox::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Living processes with this in their environment.
int count_marked(const std::string& mark) {
  int count = 0;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", code)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (sb::tests::read(entry.path() / "environ").find(mark) != std::string::npos) ++count;
  }
  return count;
}

std::string fresh_mark() {
  static int counter = 0;
  return "SB_MARK=" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

Command marked(std::string script, const std::string& mark, std::string directory = "/") {
  Command command = shell(std::move(script), std::move(directory));
  command.environment.push_back(mark);
  return command;
}

// Starts three daemons (double fork, own session, deaf to SIGTERM) and prints their pids when all of them
// live.
constexpr const char* kThreeDaemons =
    "mkfifo f && exec 5<>f\n"
    "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP; echo $$ >&5; exec sleep 1000' >/dev/null 2>&1 &); "
    "done\n"
    "for i in 1 2 3; do read pid <&5; echo $pid; done\n";

std::vector<os::Process> adopt_all(const std::string& pids) {
  std::vector<os::Process> processes;
  for (const std::string_view line : split_lines(pids)) {
    const auto pid = static_cast<pid_t>(std::stol(std::string(line)));
    auto process = os::adopt(pid, os::start_ticks_of(pid).value_or(0));
    if (process) processes.push_back(std::move(*process));
  }
  return processes;
}

void expect_end(const os::Process& process) {
  pollfd fd{.fd = process.pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&fd, 1, 60'000), 1) << "process " << process.pid << " lives on";
}

TEST(SandboxTree, marks_find_processes_that_live) {
  const std::string mark = fresh_mark();
  ASSERT_OK(Running running, start(marked("echo up; sleep 1000", mark), bounded()));
  std::string output;
  while (output.empty())
    (void)running.wait_for(milliseconds(10), [&](std::string_view piece) { output += piece; });
  EXPECT_GE(count_marked(mark), 1);
}

TEST(SandboxTree, kills_and_counts_daemons_that_outlive_the_command) {
  const auto folder = sb::tests::temporary_folder();
  const std::string mark = fresh_mark();
  ASSERT_OK(const Outcome outcome, run_to_end(marked(kThreeDaemons, mark, folder.path().string())));
  EXPECT_TRUE(outcome.report.ok()) << outcome.report.to_string();
  EXPECT_EQ(outcome.report.usage.survivors_killed, 3) << outcome.output;
  EXPECT_EQ(count_marked(mark), 0);
}

TEST(SandboxTree, wall_time_kills_a_tree_that_ignores_sigterm) {
  const auto folder = sb::tests::temporary_folder();
  const std::string mark = fresh_mark();
  Envelope envelope = bounded();
  envelope.wall = milliseconds(500);
  ASSERT_OK(const Outcome outcome,
            run_to_end(marked("trap '' TERM\n" + std::string(kThreeDaemons) + "(sleep 1000) & sleep 1000",
                              mark, folder.path().string()),
                       envelope));
  EXPECT_EQ(outcome.report.limit, LimitHit::wall);
  EXPECT_EQ(count_marked(mark), 0);
}

TEST(SandboxTree, dies_with_its_handle) {
  const auto folder = sb::tests::temporary_folder();
  std::vector<os::Process> daemons;
  {
    ASSERT_OK(Running running,
              start(shell(std::string(kThreeDaemons) + "sleep 1000", folder.path().string()), bounded()));
    std::string output;
    while (split_lines(output).size() < 3 || !output.ends_with('\n')) {
      ASSERT_EQ(running.wait_for(milliseconds(50), [&](std::string_view piece) { output += piece; }),
                std::nullopt);
    }
    daemons = adopt_all(output);
    ASSERT_EQ(daemons.size(), 3U);
  }
  for (const os::Process& daemon : daemons) EXPECT_EQ(os::start_ticks_of(daemon.pid), std::nullopt);
}

TEST(SandboxTree, dies_with_a_caller_that_is_killed) {
  const auto folder = sb::tests::temporary_folder();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const std::string script =
      "cd '" + folder.path().string() + "'\n" + kThreeDaemons + "echo $$; echo $PPID; sleep 1000";
  ASSERT_OK(const os::Process caller, os::spawn({.argv = {SB_SANDBOX_CALLER, script},
                                                 .environment = {},
                                                 .directory = "/",
                                                 .sockets = {},
                                                 .socket_names = {},
                                                 .output = writer.get()}));
  writer.reset();
  // Three daemons, the command, the init.
  std::string output;
  while (split_lines(output).size() < 5 || !output.ends_with('\n')) {
    std::array<char, 256> text{};
    const ssize_t size = ::read(reader.get(), text.data(), text.size());
    ASSERT_GT(size, 0) << "the caller ended early: " << output;
    output.append(text.data(), static_cast<std::size_t>(size));
  }
  const std::vector<os::Process> processes = adopt_all(output);
  ASSERT_EQ(processes.size(), 5U) << output;
  os::send_signal(caller, SIGKILL);
  expect_end(caller);
  (void)os::reap(caller);
  for (const os::Process& process : processes) expect_end(process);
}

TEST(SandboxTree, ends_when_the_run_kills_its_init) {
  const std::string mark = fresh_mark();
  ASSERT_OK(const Outcome outcome, run_to_end(marked("kill -9 $PPID; sleep 1000", mark)));
  EXPECT_EQ(outcome.report.signal, SIGKILL);
  EXPECT_FALSE(outcome.report.ok());
  EXPECT_EQ(count_marked(mark), 0);
}

// Both abuses end by themselves in a while, so that they do no harm where nothing stops them.
TEST(SandboxTree, catches_a_process_that_forks_and_exits_again_and_again) {
  const std::string mark = fresh_mark();
  const std::string script = "run() { [ $1 = 0 ] || run $(($1 - 1)) & exit; }; run 20000";
  ASSERT_OK(const Outcome outcome, run_to_end(marked(script, mark)));
  EXPECT_GE(outcome.report.usage.survivors_killed, 1);
  EXPECT_EQ(count_marked(mark), 0) << outcome.report.to_string();
}

TEST(SandboxTree, bounds_a_fork_bomb_and_leaves_nothing_of_it) {
  const std::string mark = fresh_mark();
  Envelope envelope = bounded();
  envelope.processes = 40;
  const std::string bomb =
      "bomb() { [ $1 = 0 ] && exec sleep 5; bomb $(($1 - 1)) | bomb $(($1 - 1)) & wait; }; bomb 8";
  ASSERT_OK(const Outcome outcome, run_to_end(marked(bomb, mark), envelope));
  EXPECT_NE(outcome.report.limit, LimitHit::wall);
  if (find(outcome.report.grant, "processes")->level == Level::enforced || ::geteuid() == 0) {
    EXPECT_EQ(outcome.report.limit, LimitHit::processes) << to_line(outcome.report.grant);
  }  // else RLIMIT_NPROC refuses the forks, and tells nobody
  EXPECT_EQ(count_marked(mark), 0) << outcome.report.to_string();
}

// Groups that this process has made and that are still there.
// Also those that a process of another pid namespace, or one that was killed, made under our number.
std::set<std::string> own_groups() {
  std::set<std::string> found;
  for (const Hierarchy& hierarchy : own_hierarchies()) {
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(hierarchy.own, code)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("selfbuild-" + std::to_string(::getpid()) + "-"))
        found.insert(entry.path().string());
    }
  }
  return found;
}

TEST(SandboxTree, removes_its_groups) {
  const std::set<std::string> before = own_groups();
  ASSERT_OK(Running running, start(shell("(setsid sleep 1000 &) ; echo up; exec sleep 1000"), bounded()));
  if (find(running.grant(), "memory")->level == Level::enforced) {
    EXPECT_GT(own_groups().size(), before.size());
  }
  (void)running.stop(milliseconds(0), nullptr);
  EXPECT_EQ(own_groups(), before) << to_line(running.grant());
}

TEST(SandboxTree, removes_the_groups_of_a_run_inside_the_run) {
  const std::set<std::string> before = own_groups();
  const std::string mark = fresh_mark();
  Command command = marked("", mark);
  command.argv = {SB_SANDBOX_CALLER, "echo up; exec sleep 1000"};
  Envelope envelope = bounded();
  // The caller is built like this test: no limit on addresses (RLIMIT_AS) has room for a sanitizer's shadow.
  envelope.memory_bytes.reset();
  ASSERT_OK(Running running, start(command, envelope));
  std::string output;
  while (output != "up\n") {
    ASSERT_EQ(running.wait_for(milliseconds(20), [&](std::string_view piece) { output += piece; }),
              std::nullopt)
        << output;
  }
  (void)running.stop(milliseconds(0), nullptr);
  EXPECT_EQ(own_groups(), before);
  EXPECT_EQ(count_marked(mark), 0);
}

}  // namespace
}  // namespace sb::sandbox::tests
