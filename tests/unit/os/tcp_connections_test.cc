// Who waits for an answer, as the kernel tells it of real connections.
#include "os/tcp_connections.h"

#include <array>
#include <string_view>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "support/wait.h"

namespace sb::os {
namespace {

class TcpConnections : public testing::Test {
 protected:
  TcpConnections() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    ports_[0] = ntohs(address.sin_port);
    client_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client_.get(), generic, size), 0);
  }
  void accept() { server_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  // What came before is more than a tick of the kernel's clock ago.
  void let_a_tick_pass() const {
    sb::tests::wait_until([this] {
      tcp_info info{};
      socklen_t size = sizeof info;
      ::getsockopt(server_.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
      return info.tcpi_last_data_sent >= 20 && info.tcpi_last_data_recv >= 20;
    });
  }
  static void send(const UniqueFd& fd, std::string_view bytes) {
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), std::ssize(bytes));
  }
  static void receive(const UniqueFd& fd) {
    std::array<char, 100> bytes{};
    ASSERT_GT(::recv(fd.get(), bytes.data(), bytes.size(), 0), 0);
  }
  [[nodiscard]] int unanswered(pid_t pid = ::getpid()) const { return unanswered_connections(pid, ports_); }

  UniqueFd listener_;
  UniqueFd client_;
  UniqueFd server_;
  std::array<std::uint16_t, 1> ports_{};
};

TEST_F(TcpConnections, counts_who_has_asked_until_he_has_the_answer) {
  EXPECT_EQ(unanswered(), 0) << "nobody has accepted it";
  accept();
  EXPECT_EQ(unanswered(), 0) << "it says nothing";
  let_a_tick_pass();
  send(client_, "question");
  EXPECT_EQ(unanswered(), 1) << "not read";
  receive(server_);
  EXPECT_EQ(unanswered(), 1) << "read and not answered";
  let_a_tick_pass();
  EXPECT_EQ(unanswered(), 1);
  send(server_, "answer");
  sb::tests::wait_until([this] { return unanswered() == 0; });
  let_a_tick_pass();
  send(client_, "one more");
  EXPECT_EQ(unanswered(), 1);
}

TEST_F(TcpConnections, show_whether_questions_are_answered) {
  constexpr std::chrono::milliseconds kLong{3'600'000};
  constexpr std::chrono::milliseconds kShort{5};
  const auto answers = [this](std::chrono::milliseconds within) {
    return answers_connections(::getpid(), ports_, within);
  };
  accept();
  send(server_, "welcome");
  EXPECT_FALSE(answers(kLong)) << "nobody asked";
  let_a_tick_pass();
  send(client_, "question");
  receive(server_);
  EXPECT_FALSE(answers(kLong)) << "not answered";
  send(server_, "answer");
  EXPECT_TRUE(answers(kLong));
  let_a_tick_pass();
  EXPECT_FALSE(answers(kShort)) << "too long ago";
}

TEST_F(TcpConnections, counts_who_asks_at_once) {
  accept();
  send(client_, "question");
  receive(server_);
  EXPECT_EQ(unanswered(), 1);
}

TEST_F(TcpConnections, counts_who_has_not_got_all_of_the_answer) {
  accept();
  std::array<char, 64 * 1024> much{};
  while (::send(server_.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  EXPECT_EQ(unanswered(), 1);
}

TEST_F(TcpConnections, belong_to_a_process_and_its_descendants) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const auto fork_one = [&] {
    const pid_t child = ::fork();
    if (child != 0) return child;
    writing.reset();
    char byte = 0;
    (void)!::read(reading.get(), &byte, 1);
    ::_exit(0);
  };
  const pid_t before = fork_one();
  accept();
  send(client_, "question");
  const pid_t after = fork_one();
  EXPECT_EQ(unanswered(before), 0) << "it has the listener only";
  EXPECT_EQ(unanswered(after), 1);
  EXPECT_EQ(unanswered(), 2) << "its own, and a child's copy";
  writing.reset();
  for (const pid_t child : {before, after}) ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(TcpConnections, to_other_ports_do_not_count) {
  accept();
  let_a_tick_pass();
  send(server_, "question");
  // The client's end: its port is another one.
  EXPECT_EQ(unanswered(), 0);
}

}  // namespace
}  // namespace sb::os
