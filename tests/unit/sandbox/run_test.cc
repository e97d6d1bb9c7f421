// What every run gets and how it ends: exit, signal, environment, descriptors, sockets, stop.
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/sandbox/runs.h"

namespace sb::sandbox::tests {
namespace {

TEST(SandboxRun, reports_the_exit_code) {
  ASSERT_OK(const Outcome outcome, run_to_end(shell("echo out; echo err >&2; exit 7")));
  EXPECT_EQ(outcome.report.exit_code, 7);
  EXPECT_EQ(outcome.report.signal, 0);
  EXPECT_EQ(outcome.report.limit, LimitHit::none);
  EXPECT_FALSE(outcome.report.ok());
  EXPECT_EQ(outcome.report.to_string(), "exit code 7");
  EXPECT_EQ(outcome.output, "out\nerr\n");
  EXPECT_EQ(outcome.report.usage.output_bytes, 8U);
}

TEST(SandboxRun, reports_the_signal) {
  ASSERT_OK(const Outcome outcome, run_to_end(shell("kill -SEGV $$")));
  EXPECT_EQ(outcome.report.signal, SIGSEGV);
  EXPECT_EQ(outcome.report.to_string(), "killed by SIGSEGV");
}

TEST(SandboxRun, success_is_ok) {
  ASSERT_OK(const Outcome outcome, run_to_end(shell("exit 0")));
  EXPECT_TRUE(outcome.report.ok()) << outcome.report.to_string();
  EXPECT_EQ(outcome.report.usage.survivors_killed, 0);
}

TEST(SandboxRun, gives_exactly_the_environment_it_was_given) {
  Command command{.argv = {"/usr/bin/env"}, .environment = {"A=1", "B=two words"}, .directory = "/"};
  ASSERT_OK(const Outcome outcome, run_to_end(command));
  EXPECT_EQ(outcome.output, "A=1\nB=two words\n");
}

TEST(SandboxRun, finds_a_program_in_the_path_of_its_own_environment) {
  const auto folder = sb::tests::temporary_folder();
  sb::tests::write(folder.path() / "only-here", "#!/bin/sh\necho found \"$1\"\n");
  std::filesystem::permissions(folder.path() / "only-here", std::filesystem::perms::owner_all);
  Command command{.argv = {"only-here", "it"},
                  .environment = {"PATH=/nowhere:" + folder.path().string()},
                  .directory = "/"};
  ASSERT_OK(const Outcome outcome, run_to_end(command));
  EXPECT_EQ(outcome.output, "found it\n");
}

TEST(SandboxRun, runs_in_its_folder) {
  const auto folder = sb::tests::temporary_folder();
  ASSERT_OK(const Outcome outcome, run_to_end(shell("pwd -P", folder.path().string())));
  EXPECT_EQ(outcome.output, std::filesystem::canonical(folder.path()).string() + "\n");
}

TEST(SandboxRun, says_that_a_program_is_missing) {
  Command command = shell("");
  command.argv = {"/nowhere/program"};
  EXPECT_ERROR(ErrorKind::environment, run(command, bounded(), nullptr));
  command.argv = {"no-such-program-anywhere"};
  EXPECT_ERROR(ErrorKind::environment, run(command, bounded(), nullptr));
  command.argv = {};
  EXPECT_ERROR(ErrorKind::usage, run(command, bounded(), nullptr));
  EXPECT_ERROR(ErrorKind::environment, run(shell("true", "/nowhere"), bounded(), nullptr));
}

TEST(SandboxRun, inherits_no_descriptor_even_without_close_on_exec) {
  const int leaked = ::open("/etc/passwd", O_RDONLY);  // NOLINT: deliberately without O_CLOEXEC
  ASSERT_GE(leaked, 0);
  const int high = ::fcntl(leaked, F_DUPFD, 200);
  ASSERT_OK(const Outcome outcome, run_to_end(shell("ls /proc/$$/fd; readlink /proc/$$/fd/0")));
  ::close(leaked);
  ::close(high);
  EXPECT_EQ(outcome.output, "0\n1\n2\n/dev/null\n");
}

TEST(SandboxRun, has_default_signals_none_blocked_and_no_core_dumps) {
  ASSERT_NE(::signal(SIGUSR1, SIG_IGN), SIG_ERR);
  sigset_t set;
  sigset_t before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  ASSERT_OK(const Outcome outcome,
            run_to_end(shell("grep -E '^Sig(Blk|Ign)|^NoNewPrivs' /proc/self/status; ulimit -c")));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n0\n");
}

TEST(SandboxRun, lives_in_a_session_of_its_own) {
  ASSERT_OK(const Outcome outcome, run_to_end(shell("cut -d' ' -f5,6 /proc/$$/stat; echo $$")));
  pid_t group = 0;
  pid_t session = 0;
  pid_t self = 0;
  ASSERT_EQ(std::sscanf(outcome.output.c_str(), "%d %d\n%d", &group, &session, &self), 3) << outcome.output;
  EXPECT_EQ(group, self);
  EXPECT_NE(session, ::getsid(0));
}

TEST(SandboxRun, passes_sockets_from_three_on) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  std::array<int, 2> other{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other.data()), 0);
  const UniqueFd our_other(other[0]);
  const UniqueFd their_other(other[1]);
  Command command = shell(
      "echo $LISTEN_FDS $LISTEN_FDNAMES; test $LISTEN_PID = $$ && echo mine; echo one >&3; echo two >&4");
  command.sockets = {their_other.get(), theirs.get()};  // descending numbers: must not overwrite each other
  command.socket_names = {"first", "second"};
  ASSERT_OK(const Outcome outcome, run_to_end(command));
  EXPECT_EQ(outcome.output, "2 first:second\nmine\n");
  std::array<char, 16> text{};
  EXPECT_EQ(::read(our_other.get(), text.data(), text.size()), 4);
  EXPECT_STREQ(text.data(), "one\n");
  text = {};
  EXPECT_EQ(::read(ours.get(), text.data(), text.size()), 4);
  EXPECT_STREQ(text.data(), "two\n");
}

TEST(SandboxRun, can_be_polled_while_it_runs) {
  ASSERT_OK(Running running, start(shell("sleep 100"), bounded()));
  EXPECT_GT(running.pid(), 0);
  EXPECT_EQ(running.wait_for(std::chrono::milliseconds(0), nullptr), std::nullopt);
}

TEST(SandboxRun, stop_lets_the_command_end_by_itself_first) {
  ASSERT_OK(
      Running running,
      start(shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"), bounded()));
  std::string output;
  const OutputSink sink = [&](std::string_view piece) { output += piece; };
  while (output != "ready\n") ASSERT_EQ(running.wait_for(std::chrono::milliseconds(10), sink), std::nullopt);
  const Report report = running.stop(std::chrono::seconds(30), sink);
  EXPECT_TRUE(report.stopped);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.exit_code, 3) << report.to_string();
  EXPECT_TRUE(output.ends_with("bye\n")) << output;
}

TEST(SandboxRun, stop_kills_what_ignores_sigterm) {
  ASSERT_OK(Running running,
            start(shell("trap '' TERM; echo ready; while :; do sleep 100; done"), bounded()));
  std::string output;
  const OutputSink sink = [&](std::string_view piece) { output += piece; };
  while (output != "ready\n") ASSERT_EQ(running.wait_for(std::chrono::milliseconds(10), sink), std::nullopt);
  const Report report = running.stop(std::chrono::milliseconds(20), sink);
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.signal, SIGKILL);
}

TEST(SandboxRun, a_stop_request_ends_it) {
  std::stop_source source;
  // From the sink, so that the request surely comes while the command runs.
  const auto report = run(
      shell("echo go; sleep 100"), bounded(), [&](std::string_view) { source.request_stop(); },
      source.get_token());
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->stopped);
  EXPECT_EQ(report->to_string(), "stopped");
}

TEST(SandboxRun, a_stop_request_made_before_the_start_counts) {
  std::stop_source source;
  source.request_stop();
  ASSERT_OK(const Report report, run(shell("sleep 100"), bounded(), nullptr, source.get_token()));
  EXPECT_TRUE(report.stopped);
}

TEST(SandboxRun, many_threads_may_run_at_once) {
  std::vector<std::thread> threads;
  std::array<int, 4> codes{};
  threads.reserve(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    threads.emplace_back([&codes, i] {
      for (int round = 0; round < 5; ++round) {
        const auto outcome = run_to_end(shell("exit " + std::to_string(10 + i)));
        codes[i] = outcome ? outcome->report.exit_code : -1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(codes, (std::array<int, 4>{10, 11, 12, 13}));
}

TEST(SandboxRun, outlives_the_thread_that_started_it) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  Command command = shell("read word <&3; echo heard $word");
  command.sockets = {theirs.get()};
  command.socket_names = {"words"};
  std::optional<Running> running;
  std::thread([&] {
    auto started = start(command, bounded());
    if (started) running = std::move(*started);
  }).join();
  ASSERT_TRUE(running.has_value());
  ASSERT_EQ(::write(ours.get(), "it\n", 3), 3);
  std::string output;
  const auto report =
      running->wait_for(std::chrono::seconds(60), [&](std::string_view piece) { output += piece; });
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(output, "heard it\n") << report->to_string();
}

TEST(CleanEnvironment, holds_the_basics_and_nothing_of_the_callers) {
  ASSERT_EQ(::setenv("SB_TEST_SECRET", "hunter2", 1), 0);
  const std::vector<std::string> environment = clean_environment("/some/home");
  std::vector<std::string> names;
  names.reserve(environment.size());
  for (const std::string& entry : environment) names.push_back(entry.substr(0, entry.find('=')));
  EXPECT_EQ(names, (std::vector<std::string>{"PATH", "LANG", "HOME", "TMPDIR", "TERM"}));
}

}  // namespace
}  // namespace sb::sandbox::tests
