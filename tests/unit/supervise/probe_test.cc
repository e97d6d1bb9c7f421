// Real sockets and real probes: what the candidate run and the conductor ask.
#include "supervise/probe.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/unix_socket.h"
#include "supervise/health_probe.h"
#include "supervise/process_runner.h"
#include "supervise/service_log.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb::supervise {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers every request on a socket with one text until it is destroyed.
class Answering {
 public:
  // `request`: gets the last request; to be read after destruction.
  Answering(int listener, std::string answer, std::string* request = nullptr)
      : thread_([this, listener, request, answer = std::move(answer)] {
          while (!stop_) {
            pollfd wait{.fd = listener, .events = POLLIN, .revents = 0};
            if (::poll(&wait, 1, 10) <= 0) continue;
            const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
            std::array<char, 4096> text{};
            if (::recv(connection.get(), text.data(), text.size() - 1, 0) <= 0) continue;
            if (request != nullptr) *request = text.data();
            ::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
          }
        }) {}
  ~Answering() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

ProbeSpec http(const std::string& address) {
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::http;
  spec.address = address;
  spec.path = "/health";
  spec.timeout = milliseconds(60'000);
  return spec;
}

std::vector<BoundSocket> bound(const std::string& listen) {
  std::vector<BoundSocket> sockets;
  Result<BoundSocket> socket = bind_socket({.name = "web", .listen = listen});
  EXPECT_TRUE(socket.has_value());
  sockets.push_back(std::move(*socket));
  return sockets;
}

TEST(BindSocket, takes_a_free_port_and_says_which) {
  ASSERT_OK(const BoundSocket socket, bind_socket({.name = "web", .listen = "127.0.0.1:0"}));
  EXPECT_THAT(socket.address, ::testing::StartsWith("127.0.0.1:"));
  EXPECT_NE(socket.address, "127.0.0.1:0");
}

TEST(BindSocket, says_conflict_when_the_address_is_taken) {
  ASSERT_OK(const BoundSocket first, bind_socket({.name = "web", .listen = "127.0.0.1:0"}));
  EXPECT_ERROR(ErrorKind::conflict, bind_socket({.name = "web", .listen = first.address}));
  const os::TemporaryFolder folder = tests::temporary_folder();
  const SocketSpec unix_socket{.name = "ctl", .listen = "unix:" + (folder.path() / "s").string()};
  {
    ASSERT_OK(const BoundSocket held, bind_socket(unix_socket));
    EXPECT_ERROR(ErrorKind::conflict, bind_socket(unix_socket));
  }
  // What a program that has gone left behind is replaced.
  EXPECT_TRUE(bind_socket(unix_socket).has_value());
}

TEST(Probe, http_is_good_for_2xx_and_3xx) {
  const std::vector<BoundSocket> sockets = bound("127.0.0.1:0");
  for (const char* status : {"200 OK", "204 No Content", "302 Found"}) {
    std::string request;
    {
      const Answering server(sockets.front().fd.get(), std::string("HTTP/1.0 ") + status + "\r\n\r\n",
                             &request);
      EXPECT_TRUE(probe_once(http("web"), sockets, "/").has_value()) << status;
    }
    EXPECT_THAT(request, HasSubstr("GET /health HTTP/1."));
  }
}

TEST(Probe, http_tells_the_status_and_the_first_line_of_a_bad_answer) {
  const std::vector<BoundSocket> sockets = bound("127.0.0.1:0");
  const Answering server(sockets.front().fd.get(), "HTTP/1.0 503 No\r\n\r\nthe database is gone\nmore\n");
  const Status answer = probe_once(http(sockets.front().address), {}, "/");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::unhealthy);
  EXPECT_THAT(answer.error().what, HasSubstr("answered 503"));
  EXPECT_EQ(answer.error().found, "503: the database is gone");
}

TEST(Probe, http_reaches_unix_sockets) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const std::vector<BoundSocket> sockets = bound("unix:" + (folder.path() / "s").string());
  const Answering server(sockets.front().fd.get(), "HTTP/1.0 200 OK\r\n\r\n");
  EXPECT_TRUE(probe_once(http("web"), sockets, "/").has_value());
}

TEST(Probe, http_does_not_wait_for_ever) {
  const std::vector<BoundSocket> sockets = bound("127.0.0.1:0");  // accepts nothing
  ProbeSpec spec = http("web");
  spec.timeout = milliseconds(50);
  EXPECT_ERROR(ErrorKind::unhealthy, probe_once(spec, sockets, "/"));
}

TEST(Probe, tcp_is_good_when_somebody_listens) {
  std::vector<BoundSocket> sockets = bound("127.0.0.1:0");
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::tcp;
  spec.address = "web";
  EXPECT_TRUE(probe_once(spec, sockets, "/").has_value());
  sockets.front().fd.reset();
  EXPECT_ERROR(ErrorKind::unhealthy, probe_once(spec, sockets, "/"));
}

TEST(Probe, command_runs_in_the_versions_folder_and_knows_the_address) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  tests::write(folder.path() / "here", "");
  const std::vector<BoundSocket> sockets = bound("127.0.0.1:0");
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::command;
  spec.timeout = milliseconds(60'000);
  spec.command = {"sh", "-c", "test -e here && test \"$SELFBUILD_LISTEN_WEB\" = " + sockets.front().address};
  EXPECT_TRUE(probe_once(spec, sockets, folder.path()).has_value());
}

TEST(Probe, command_tells_its_exit_code_and_output) {
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::command;
  spec.timeout = milliseconds(60'000);
  spec.command = {"sh", "-c", "echo no disk; exit 3"};
  const Status answer = probe_once(spec, {}, "/");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().found, "exit code 3");
  EXPECT_EQ(answer.error().log, "no disk");
}

TEST(Probe, command_is_killed_with_all_it_started_when_it_takes_too_long) {
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::command;
  spec.timeout = milliseconds(100);
  spec.command = {"sh", "-c", "sleep 1000 & sleep 1000"};
  EXPECT_ERROR(ErrorKind::unhealthy, probe_once(spec, {}, "/"));
}

TEST(Probe, of_the_kinds_that_ask_nothing_is_good) {
  for (const ProbeSpec::Kind kind :
       {ProbeSpec::Kind::none, ProbeSpec::Kind::notify, ProbeSpec::Kind::watchdog}) {
    ProbeSpec spec;
    spec.kind = kind;
    EXPECT_TRUE(probe_once(spec, {}, "/").has_value());
  }
}

TEST(ThreadedProbe, says_that_the_host_cannot_ask_when_it_has_no_thread) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  ThreadedProbe probe(*loop);
  pthread_attr_t usual{};
  pthread_attr_t huge{};  // a stack that no address space has room for
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_getattr_default_np(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 48U), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  std::optional<Status> answer;
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::tcp;
  probe.ask(spec, {}, "/", [&](const Timed& timed) {
    const Status& status = timed.status;
    answer = status;
    loop->stop();
  });
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  ::pthread_attr_destroy(&usual);
  ::pthread_attr_destroy(&huge);
  EXPECT_FALSE(answer.has_value()) << "answered before ask returned";
  loop->run();
  ASSERT_TRUE(answer.has_value());
  EXPECT_ERROR(ErrorKind::environment, *answer);
  EXPECT_TRUE(probe.idle());
}

TEST(ThreadedProbe, lets_questions_wait_until_it_has_loaded_what_they_need) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  ThreadedProbe probe(*loop, /*loads=*/true);
  std::vector<std::string> happened;
  ProbeSpec spec;
  spec.kind = ProbeSpec::Kind::command;
  spec.command = {"true"};
  const auto ask = [&](const std::string& which) {
    probe.ask(spec, {}, "/", [&, which](const Timed& timed) {
      happened.push_back(which + (timed.status ? " well" : " ill"));
      if (happened.size() == 3) loop->stop();
    });
  };
  ask("before");
  probe.load([&](const Status& status) { happened.emplace_back(status ? "loaded" : "not loaded"); });
  ask("meanwhile");
  loop->run();
  ASSERT_EQ(happened.size(), 3U);
  EXPECT_EQ(happened.front(), "loaded");
  EXPECT_TRUE(probe.idle());
}

TEST(ThreadedProbe, drops_the_questions_that_wait_when_it_goes) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  bool answered = false;
  {
    ThreadedProbe probe(*loop, /*loads=*/true);
    probe.ask({}, {}, "/", [&](const Timed&) { answered = true; });
  }
  EXPECT_FALSE(answered);
}

TEST(Notification, is_read_line_by_line) {
  const Notification all =
      parse_notification("READY=1\nSTATUS=up = well\nWATCHDOG=1\nSTOPPING=1\nX=y\nEXTEND_TIMEOUT_USEC=5000");
  EXPECT_TRUE(all.ready && all.watchdog && all.stopping);
  EXPECT_EQ(all.status, "up = well");
  EXPECT_EQ(all.extend_timeout_usec, 5000);
  const Notification more = parse_notification("RELOADING=1\nWATCHDOG=trigger\nWATCHDOG_USEC=7\nMAINPID=12");
  EXPECT_TRUE(more.reloading && more.watchdog_trigger && !more.watchdog);
  EXPECT_EQ(more.watchdog_usec, 7);
  EXPECT_EQ(more.main_pid, 12);
  EXPECT_FALSE(parse_notification("MAINPID=99999999999").main_pid.has_value());
  const Notification none = parse_notification("READY=0\nREADY=11\n READY=1\nEXTEND_TIMEOUT_USEC=-1\n");
  EXPECT_FALSE(none.ready || none.watchdog || none.stopping || none.status || none.extend_timeout_usec);
}

TEST(ServiceEnvironment, is_clean_but_for_the_basics_and_the_spec) {
  ServiceSpec spec;
  spec.environment = {"PATH=/mine", "A=b"};
  spec.health.kind = ProbeSpec::Kind::watchdog;
  spec.health.interval = milliseconds(1500);
  const std::vector<std::string> environment = service_environment(spec, "/run/n");
  EXPECT_THAT(environment, Contains("PATH=/mine"));
  EXPECT_THAT(environment, Contains("A=b"));
  EXPECT_THAT(environment, Contains("NOTIFY_SOCKET=/run/n"));
  EXPECT_THAT(environment, Contains("WATCHDOG_USEC=1500000"));
  EXPECT_EQ(environment.size(), 7U) << "PATH, LANG, HOME, USER, A, NOTIFY_SOCKET, WATCHDOG_USEC";
}

TEST(ResolvedCommand, is_relative_to_the_version) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  tests::write(folder.path() / "tool", "");
  ServiceSpec spec;
  const auto program = [&](const std::string& name) {
    spec.command = {name, "-x"};
    return resolved_command(spec.command, folder.path()).front();
  };
  EXPECT_EQ(program("bin/web"), (folder.path() / "bin/web").string());
  EXPECT_EQ(program("tool"), (folder.path() / "tool").string());
  EXPECT_EQ(program("sh"), "sh");
  EXPECT_EQ(program("/bin/sh"), "/bin/sh");
}

TEST(ServiceLog, starts_anew_above_its_limit_and_keeps_what_was_before) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  ASSERT_OK(const UniqueFd log, open_service_log(folder.path()));
  ASSERT_EQ(::write(log.get(), "0123456789", 10), 10);
  cap_service_log(folder.path(), 10);
  EXPECT_EQ(tests::read(folder.path() / "log"), "0123456789");
  cap_service_log(folder.path(), 9);
  ASSERT_EQ(::write(log.get(), "new", 3), 3);
  EXPECT_EQ(tests::read(folder.path() / "log.1"), "0123456789");
  EXPECT_EQ(tests::read(folder.path() / "log"), "new");
}

TEST(RealProcessRunner, finds_a_process_by_its_environment_and_kills_what_it_leaves) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  RealProcessRunner processes(*loop);
  const os::TemporaryFolder folder = tests::temporary_folder();
  const std::string mark = "SELFBUILD_INSTANCE=" + folder.path().string();
  os::SpawnSpec spec;
  // The child writes its pid, so that its end can be seen; the main process waits for a line that never
  // comes.
  spec.argv = {"/bin/sh", "-c", "sleep 1000 & echo $! > child; kill -STOP $$"};
  spec.environment = {"PATH=/usr/bin:/bin", mark};
  spec.directory = folder.path();
  ASSERT_OK(const os::Process started, processes.start(spec));
  EXPECT_FALSE(processes.find_marked({mark, "SELFBUILD_SOCKET=/another/home"}).has_value());
  // In the moment of its exec it has no environment.
  std::optional<os::Process> found;
  tests::wait_until([&] { return (found = processes.find_marked({mark})).has_value(); });
  EXPECT_EQ(found->pid, started.pid);
  EXPECT_EQ(session_of(started.pid), started.pid);
  std::optional<os::Exit> exit;
  const os::Watch watch = processes.on_exit(started, [&](const os::Exit& how) {
    exit = how;
    loop->stop();
  });
  processes.signal(started, SIGKILL, /*whole_group=*/false);
  loop->run();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->signal, SIGKILL);
  EXPECT_FALSE(processes.find_marked({mark}).has_value());
}

TEST(RealProcessRunner, leaves_to_its_group_the_rest_of_a_process_that_ended_alone) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  RealProcessRunner processes(*loop);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  os::SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "sleep 1000 & echo $!"};
  spec.environment = {"PATH=/usr/bin:/bin", "SELFBUILD_INSTANCE=web:7"};
  spec.output = writer.get();
  ASSERT_OK(const os::Process leader, processes.start(spec));
  writer.reset();
  std::optional<os::Exit> exit;
  const os::Watch watch = processes.on_end_alone(leader, [&](const os::Exit& how) {
    exit = how;
    loop->stop();
  });
  loop->run();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0);
  std::array<char, 32> line{};
  ASSERT_GT(::read(reader.get(), line.data(), line.size() - 1), 0);
  const pid_t child = std::atoi(line.data());
  EXPECT_FALSE(processes.find(child, {"SELFBUILD_INSTANCE=web:8"}).has_value()) << "of another instance";
  std::optional<os::Process> left;
  tests::wait_until([&] { return (left = processes.find(child, {"SELFBUILD_INSTANCE=web:7"})).has_value(); });
  pollfd ended{.fd = left->pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0) << "it was killed with its leader";
  processes.kill_rest(leader.pid, {"SELFBUILD_INSTANCE=web:7"});
  EXPECT_EQ(::poll(&ended, 1, -1), 1);
}

TEST(RealProcessRunner, kills_what_is_left_of_a_group_whose_leader_ended_unseen) {
  ASSERT_OK(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::make());
  RealProcessRunner processes(*loop);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  os::SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "sleep 1000 & exit 0"};
  spec.environment = {"PATH=/usr/bin:/bin", "SELFBUILD_INSTANCE=web:1"};
  spec.output = writer.get();
  ASSERT_OK(const os::Process leader, processes.start(spec));
  writer.reset();
  pollfd ended{.fd = leader.pidfd.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ended, 1, -1), 1);
  ASSERT_TRUE(os::reap(leader).has_value());
  processes.kill_rest(leader.pid, {"SELFBUILD_INSTANCE=web:2"});
  pollfd left{.fd = reader.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&left, 1, 0), 0) << "killed what does not carry the mark";
  // Until the last one that has the other end is gone; in the moment of its exec it has no environment.
  do {
    processes.kill_rest(leader.pid, {"SELFBUILD_INSTANCE=web:1"});
  } while (::poll(&left, 1, 10) == 0);
  char byte = '\0';
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace sb::supervise
