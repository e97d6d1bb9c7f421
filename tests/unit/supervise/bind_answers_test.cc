// Programs that bind by themselves, with real processes and sockets.
#include "supervise/bind_answers.h"

#include <csignal>
#include <optional>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "os/bind_filter.h"
#include "os/process.h"
#include "support/conversation.h"
#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kOurs = "bind 0 listen 0 flags 0 0";
constexpr const char* kTaken = "bind 98 listen 0 flags 0 0";  // EADDRINUSE; listen takes a free port

// The conductor's part of it: everything but the service itself.
class OwnBind : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const Status allowed = os::try_bind_filter();
    if (!allowed) GTEST_SKIP() << one_line(allowed.error());
    ASSERT_OK(loop_, os::EventLoop::make());
    open();
  }
  void TearDown() override {
    for (const os::Process& process : processes_) {
      os::send_signal(process, SIGKILL);
      ::waitpid(process.pid, nullptr, 0);
    }
  }
  // What a kill -9 of the conductor leaves behind is in the vault.
  void open() {
    answers_.reset();
    sockets_.reset();
    around_.reset();
    runner_.emplace(*loop_);
    around_ = std::make_unique<Surroundings>(
        Surroundings{.timers = *loop_,
                     .processes = *runner_,
                     .probe = world_.probe,
                     .vault = world_.vault,
                     .safe_mode = world_.safe_mode,
                     .table = *world_.table,
                     .home = world_.home,
                     .notify_socket = {},
                     .environment = {},
                     .log = [this](const std::string& text) { log_ += text + '\n'; },
                     .random = [] { return 0.0; },
                     .versions = [](const std::string&) { return std::vector<KnownVersion>{}; }});
    sockets_.emplace(*around_, "web");
    answers_.emplace(*around_, "web", *sockets_);
  }
  // Binds `listen`; the address that came of it.
  std::string declare(const std::string& listen, Take take = Take::bind) {
    spec_.sockets.push_back(
        {.name = "s" + std::to_string(spec_.sockets.size()), .listen = listen, .take = take});
    const Result<ListeningSockets::Passed> passed = sockets_->for_spec(spec_, Side::a);
    EXPECT_TRUE(passed.has_value()) << one_line(passed.error());
    passed_ = passed->fds;
    return passed->addresses.back().address;
  }
  void start(const std::vector<std::string>& argv, Side side = Side::a) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    output_ = UniqueFd(ends[0]);
    const UniqueFd writer(ends[1]);
    os::SpawnSpec spec;
    spec.argv = argv;
    spec.output = writer.get();
    spec.ask_for_binds = true;
    os::Process process;
    ASSERT_OK(process, os::spawn(spec));
    answers_->begin(static_cast<std::int64_t>(processes_.size()), spec_, side, std::move(process.bind_calls));
    processes_.push_back(std::move(process));
  }
  // What it prints, until there are so many lines.
  std::vector<std::string> lines(std::size_t count) {
    const os::Watch readable = loop_->on_readable(output_.get(), [&] {
      std::array<char, 4096> bytes{};
      const ssize_t got = ::read(output_.get(), bytes.data(), bytes.size());
      if (got > 0) said_.append(bytes.data(), static_cast<std::size_t>(got));
      if (got == 0 || split_lines(said_).size() >= count) loop_->stop();
    });
    loop_->run();
    std::vector<std::string> found;
    for (const std::string_view line : split_lines(said_)) found.emplace_back(line);
    return found;
  }
  std::string only_line() { return lines(1).front(); }
  // A new connection to this address waits in the socket that the conductor has for this side.
  bool reaches(const std::string& address, Side side) {
    const UniqueFd client = tests::connect_to(address);
    const int fd = sockets_->open_ones(spec_).at(side == Side::a ? 0 : 1);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return client && UniqueFd(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)).valid();
  }
  static std::string port_of(const std::string& address) { return address.substr(address.rfind(':') + 1); }

  tests::FakeWorld world_{true};
  std::unique_ptr<os::EventLoop> loop_;
  std::optional<RealProcessRunner> runner_;
  std::unique_ptr<Surroundings> around_;
  std::optional<ListeningSockets> sockets_;
  std::optional<BindAnswers> answers_;
  ServiceSpec spec_;
  std::vector<int> passed_;
  std::vector<os::Process> processes_;
  UniqueFd output_;
  std::string said_;
  std::string log_;
};

TEST_P(OwnBind, gets_the_socket_of_the_conductor) {
  const std::string address = declare("127.0.0.1:0");
  EXPECT_THAT(passed_, IsEmpty()) << "it would be there twice";
  start({GetParam(), "tcp:" + address});
  EXPECT_EQ(only_line(), kOurs);
  EXPECT_THAT(log_, HasSubstr("its bind of " + address + " was answered with the socket s0"));
  EXPECT_TRUE(reaches(address, Side::a));
}

TEST_P(OwnBind, serves_who_connects_and_who_came_before) {
  const std::string address = declare("127.0.0.1:0");
  const UniqueFd early = tests::connect_to(address);
  tests::say(early, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  start({HTTP_SERVICE, "--answer", "mine", "--listen", port_of(address)});
  EXPECT_EQ(only_line(), address);
  EXPECT_THAT(tests::hear(early), HasSubstr("mine"));
  EXPECT_THAT(tests::talk(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), HasSubstr("mine"));
}

TEST_P(OwnBind, keeps_its_flags) {
  const std::string one = declare("127.0.0.1:0");
  const std::string two = declare("127.0.0.1:0");
  const std::string three = declare("127.0.0.1:0");
  start({GetParam(), "tcp:" + one, "nonblock", "tcp:" + two, "cloexec", "tcp:" + three});
  EXPECT_THAT(lines(3), ::testing::ElementsAre("bind 0 listen 0 flags 0 0", "bind 0 listen 0 flags 1 0",
                                               "bind 0 listen 0 flags 1 1"));
}

TEST_P(OwnBind, gets_the_socket_of_its_side) {
  const std::string address = declare("127.0.0.1:0");
  ASSERT_GOOD(sockets_->steer(Side::b));
  start({HTTP_SERVICE, "--answer", "b", "--listen", port_of(address)}, Side::b);
  EXPECT_EQ(only_line(), address);
  EXPECT_THAT(tests::talk(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), HasSubstr("\r\n\r\nb\n"));
  ASSERT_GOOD(sockets_->steer(Side::a));
  EXPECT_TRUE(reaches(address, Side::a)) << "nobody has that side yet";
}

TEST_P(OwnBind, goes_to_the_kernel_for_all_else) {
  const std::string address = declare("127.0.0.1:0");
  const std::string inherited = declare("127.0.0.1:0", Take::inherit);
  EXPECT_EQ(passed_.size(), 1U);
  start(
      {GetParam(), "udp:" + address, "tcp:127.0.0.2:0", "tcp:" + inherited, "v6only:::" + address.substr(9)});
  EXPECT_THAT(lines(4), ::testing::ElementsAre(kOurs, kOurs, kTaken, kOurs));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_P(OwnBind, may_ask_for_any_address_of_either_family) {
  const std::string address = declare("127.0.0.1:0");
  const std::string port = port_of(address);
  start({GetParam(), "tcp:0.0.0.0:" + port, "tcp6::::" + port});
  EXPECT_THAT(lines(2), ::testing::ElementsAre(kOurs, kOurs));
  EXPECT_TRUE(reaches(address, Side::a));
}

TEST_P(OwnBind, may_remove_its_path_first) {
  const std::string path = (world_.root.path() / "own.sock").string();
  const std::string address = declare("unix:" + path);
  start({GetParam(), "unix:" + path});
  EXPECT_EQ(only_line(), kOurs);
  EXPECT_TRUE(reaches(address, Side::a));
  sockets_->close_all();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".selfbuild"));
}

TEST_P(OwnBind, is_answered_by_the_next_conductor_when_one_died_before) {
  const std::string address = declare("127.0.0.1:0");
  start({GetParam(), "usr1", "tcp:" + address});
  EXPECT_EQ(only_line(), "waiting");
  open();  // the same vault
  Result<std::vector<SocketRow>> rows = world_.table->sockets("web");
  ASSERT_TRUE(rows.has_value());
  sockets_->recover(*rows, nullptr, spec_, Side::a);
  // It asks while there is no conductor, too.
  os::send_signal(processes_.front(), SIGUSR1);
  answers_->recover(0, spec_, Side::a);
  EXPECT_EQ(lines(2).back(), kOurs);
  EXPECT_TRUE(reaches(address, Side::a));
}

TEST_P(OwnBind, is_forgotten_with_its_last_process) {
  const std::string address = declare("127.0.0.1:0");
  start({GetParam(), "tcp:" + address});
  EXPECT_EQ(only_line(), kOurs);
  EXPECT_TRUE(world_.vault.held.contains("binds/web/0"));
  os::send_signal(processes_.front(), SIGKILL);
  ::waitpid(processes_.front().pid, nullptr, 0);
  processes_.clear();
  (void)lines(100);  // to the end of what it prints
  while (world_.vault.held.contains("binds/web/0")) {
    loop_->post([this] { loop_->stop(); });
    loop_->run();
  }
  EXPECT_TRUE(reaches(address, Side::a));
}

INSTANTIATE_TEST_SUITE_P(Programs, OwnBind, ::testing::Values(OWN_BINDER, OWN_BINDER_STATIC),
                         [](const auto& program) { return program.index == 0 ? "dynamic" : "static"; });

}  // namespace
}  // namespace sb::supervise
