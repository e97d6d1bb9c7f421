// Real programs: what they get, how their errors come back, and who they are later.
#include "os/process.h"

#include <array>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::os::tests {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  // Until the last writer has gone.
  std::string text() {
    writer.reset();
    std::string all;
    std::array<char, 4096> block{};
    for (ssize_t n = 0; (n = ::read(reader.get(), block.data(), block.size())) > 0;) {
      all.append(block.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  UniqueFd reader;
  UniqueFd writer;
};

SpawnSpec shell(const std::string& script, int output = -1) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  spec.environment = {"PATH=/usr/bin:/bin"};
  spec.output = output;
  return spec;
}

Exit wait_for(const Process& process) {
  pollfd fd{.fd = process.pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&fd, 1, 60'000), 1) << "process " << process.pid << " does not end";
  return reap(process).value_or(Exit{});
}

TEST(Spawn, reports_exit_codes_and_signals) {
  ASSERT_OK(const Process three, spawn(shell("exit 3")));
  const Exit exit = wait_for(three);
  EXPECT_TRUE(exit.known);
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(exit.to_string(), "exit code 3");
  ASSERT_OK(const Process killed, spawn(shell("kill -SEGV $$")));
  EXPECT_EQ(wait_for(killed).to_string(), "killed by SIGSEGV");
}

TEST(Spawn, reports_errors_here_and_not_as_exit_code_127) {
  SpawnSpec spec = shell("");
  spec.argv = {"/nowhere/program"};
  EXPECT_ERROR(ErrorKind::environment, spawn(spec));
  spec.argv = {"no-such-program"};
  EXPECT_ERROR(ErrorKind::environment, spawn(spec));
  spec.argv = {"/etc/passwd"};  // not executable
  EXPECT_ERROR(ErrorKind::environment, spawn(spec));
  spec.argv = {};
  EXPECT_ERROR(ErrorKind::usage, spawn(spec));
  spec = shell("exit 0");
  spec.directory = "/nowhere";
  EXPECT_ERROR(ErrorKind::environment, spawn(spec));
}

TEST(Spawn, waits_while_the_program_is_still_open_for_writing) {
  const TemporaryFolder folder = sb::tests::temporary_folder();
  const std::filesystem::path program = folder.path() / "busy";
  std::filesystem::copy_file("/bin/true", program);
  SpawnSpec spec;
  spec.argv = {program.string()};
  UniqueFd writer(::open(program.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_ERROR(ErrorKind::environment, spawn(spec));  // but not for ever

  const std::jthread closer([&] {
    // Not before the child is there to find the program busy.
    const std::string children = fmt::format("/proc/self/task/{}/children", ::getpid());
    while (sb::tests::read(children).empty()) std::this_thread::yield();
    writer.reset();
  });
  ASSERT_OK(const Process process, spawn(spec));
  EXPECT_EQ(wait_for(process).to_string(), "exit code 0");
}

TEST(Spawn, gives_exactly_the_environment_folder_and_arguments) {
  const auto folder = sb::tests::temporary_folder();
  Pipe pipe;
  SpawnSpec spec;
  spec.argv = {"sh", "-c", "env | sort; pwd -P; echo \"$0|$1\"", "zero", "a 'quoted' $one"};
  spec.environment = {"PATH=/usr/bin:/bin", "B=2"};
  spec.directory = folder.path();
  spec.output = pipe.writer.get();
  ASSERT_OK(const Process process, spawn(spec));
  EXPECT_EQ(pipe.text(),
            "B=2\nPATH=/usr/bin:/bin\nPWD=" + std::filesystem::canonical(folder.path()).string() + "\n" +
                std::filesystem::canonical(folder.path()).string() + "\nzero|a 'quoted' $one\n");
  EXPECT_EQ(wait_for(process).code, 0);
}

TEST(Spawn, leaks_no_descriptor) {
  const int leaked = ::open("/etc/passwd", O_RDONLY);  // NOLINT: deliberately without O_CLOEXEC
  const int high = ::fcntl(leaked, F_DUPFD, 300);
  Pipe pipe;
  ASSERT_OK(const Process process, spawn(shell("ls /proc/$$/fd", pipe.writer.get())));
  EXPECT_EQ(pipe.text(), "0\n1\n2\n");
  ::close(leaked);
  ::close(high);
  wait_for(process);
}

TEST(Spawn, passes_sockets_from_three_on_whatever_their_numbers) {
  std::array<int, 2> a{};
  std::array<int, 2> b{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a.data()), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b.data()), 0);
  const std::array<UniqueFd, 4> owned{UniqueFd(a[0]), UniqueFd(a[1]), UniqueFd(b[0]), UniqueFd(b[1])};
  Pipe pipe;
  SpawnSpec spec =
      shell("echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && echo mine; echo x >&3; echo yz >&4",
            pipe.writer.get());
  spec.sockets = {b[1], a[1]};  // in descending order
  spec.socket_names = {"first", "second"};
  ASSERT_OK(const Process process, spawn(spec));
  EXPECT_EQ(pipe.text(), "2 first:second\nmine\n");
  wait_for(process);
  std::array<char, 8> text{};
  EXPECT_EQ(::read(b[0], text.data(), text.size()), 2);
  EXPECT_EQ(::read(a[0], text.data(), text.size()), 3);
}

TEST(Spawn, resets_signals) {
  ASSERT_NE(::signal(SIGUSR1, SIG_IGN), SIG_ERR);
  sigset_t set;
  sigset_t before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  Pipe pipe;
  ASSERT_OK(const Process process,
            spawn(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", pipe.writer.get())));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(pipe.text(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  wait_for(process);
}

TEST(Spawn, makes_a_session_and_signals_its_whole_group) {
  Pipe pipe;
  ASSERT_OK(const Process process, spawn(shell("sleep 1000 & echo $!; wait", pipe.writer.get())));
  pipe.writer.reset();
  std::array<char, 32> text{};
  ASSERT_GT(::read(pipe.reader.get(), text.data(), text.size() - 1), 0);
  EXPECT_EQ(::getsid(process.pid), process.pid);
  const auto sleeper = static_cast<pid_t>(std::stol(text.data()));
  const auto child = adopt(sleeper, start_ticks_of(sleeper).value_or(0));
  ASSERT_TRUE(child.has_value());
  send_signal(process, SIGTERM, /*whole_group=*/true);
  EXPECT_EQ(wait_for(process).signal, SIGTERM);
  pollfd fd{.fd = child->pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&fd, 1, 60'000), 1) << "the sleeper was not signalled";
}

TEST(Spawn, many_threads_may_spawn_at_once) {
  std::vector<std::thread> threads;
  std::array<bool, 4> good{};
  threads.reserve(good.size());
  for (std::size_t i = 0; i < good.size(); ++i) {
    threads.emplace_back([&good, i] {
      good[i] = true;
      for (int round = 0; round < 10; ++round) {
        const auto process = spawn(shell("exit " + std::to_string(i + 1)));
        good[i] = good[i] && process && wait_for(*process).code == static_cast<int>(i + 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, (std::array<bool, 4>{true, true, true, true}));
}

TEST(Reap, does_not_block_and_says_nothing_while_it_runs) {
  ASSERT_OK(const Process process, spawn(shell("exec sleep 1000")));
  EXPECT_FALSE(reap(process).has_value());
  send_signal(process, SIGKILL);
  EXPECT_EQ(wait_for(process).signal, SIGKILL);
}

TEST(Adopt, finds_a_running_process_by_pid_and_start_time) {
  ASSERT_OK(const Process process, spawn(shell("exec sleep 1000")));
  EXPECT_GT(process.start_ticks, 0U);
  const auto adopted = adopt(process.pid, process.start_ticks);
  ASSERT_TRUE(adopted.has_value());
  EXPECT_EQ(adopted->pid, process.pid);
  EXPECT_FALSE(adopt(process.pid, process.start_ticks + 1).has_value())
      << "another process with a recycled pid";
  send_signal(*adopted, SIGKILL);
  wait_for(process);
  EXPECT_FALSE(adopt(process.pid, process.start_ticks).has_value());
}

TEST(Adopt, knows_the_end_of_a_process_that_is_not_our_child_but_not_its_status) {
  // The shell leaves a sleeper behind that belongs to init, or to whoever reaps here.
  Pipe pipe;
  ASSERT_OK(const Process parent, spawn(shell("sleep 1000 >/dev/null 2>&1 & echo $!", pipe.writer.get())));
  const auto pid = static_cast<pid_t>(std::stol(pipe.text()));
  wait_for(parent);
  const auto adopted = adopt(pid, start_ticks_of(pid).value_or(0));
  ASSERT_TRUE(adopted.has_value());
  EXPECT_FALSE(reap(*adopted).has_value());
  send_signal(*adopted, SIGKILL);
  pollfd fd{.fd = adopted->pidfd.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&fd, 1, 60'000), 1);
  const auto exit = reap(*adopted);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->known);
  EXPECT_EQ(exit->to_string(), "ended");
}

TEST(StartTicks, are_read_past_any_name) {
  EXPECT_TRUE(start_ticks_of(::getpid()).has_value());
  EXPECT_FALSE(start_ticks_of(1 << 30).has_value());
  const auto folder = sb::tests::temporary_folder();
  const auto program = folder.path() / "a) R 1 (b";  // a name that looks like the fields behind it
  std::filesystem::copy_file("/bin/sleep", program);
  SpawnSpec spec;
  spec.argv = {program.string(), "1000"};
  ASSERT_OK(const Process process, spawn(spec));
  EXPECT_TRUE(adopt(process.pid, process.start_ticks).has_value());
  EXPECT_GE(process.start_ticks, start_ticks_of(::getpid()).value_or(0));
  send_signal(process, SIGKILL);
  wait_for(process);
}

TEST(SignalName, knows_signals_and_numbers) {
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_EQ(signal_name(999), "signal 999");
}

}  // namespace
}  // namespace sb::os::tests
