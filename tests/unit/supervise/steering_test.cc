// Two sockets on one address: who gets a connection, with real sockets.
#include "supervise/steering.h"

#include <array>
#include <cmath>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "supervise/address.h"
#include "supervise/probe.h"
#include "support/result_matchers.h"

namespace sb::supervise {
namespace {

class Steering : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(pair_, bind_steered({.name = "http", .listen = "127.0.0.1:0"})); }

  // A connection that has been made; from says where it comes from.
  [[nodiscard]] UniqueFd connect(const std::string& from = {}) const {
    const Result<Address> address = parse_address(pair_.address);
    const Result<SocketAddress> where = socket_address(*address);
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!from.empty()) {
      const Result<SocketAddress> source = socket_address({.unix_path = {}, .host = from, .port = 0});
      EXPECT_EQ(::bind(fd.get(), source->get(), source->size), 0);
    }
    // Ends at once, so that thousands of them leave no port behind.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    EXPECT_EQ(::connect(fd.get(), where->get(), where->size), 0);
    return fd;
  }
  [[nodiscard]] static bool accepts(const UniqueFd& side) {
    return UniqueFd(::accept4(side.get(), nullptr, nullptr, SOCK_CLOEXEC)).get() >= 0;
  }
  // Which side a connection that is made now comes to.
  [[nodiscard]] Side reached(const std::string& from = {}) const {
    const UniqueFd client = connect(from);
    std::array<pollfd, 2> both{pollfd{.fd = pair_.a.get(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = pair_.b.get(), .events = POLLIN, .revents = 0}};
    EXPECT_EQ(::poll(both.data(), both.size(), 10'000), 1);
    const Side side = both[0].revents != 0 ? Side::a : Side::b;
    EXPECT_TRUE(accepts(side == Side::a ? pair_.a : pair_.b));
    return side;
  }
  [[nodiscard]] double percent_of_b(int connections) const {
    int count = 0;
    for (int i = 0; i < connections; ++i) count += reached() == Side::b ? 1 : 0;
    return 100.0 * count / connections;
  }

  SteeredPair pair_;
};

TEST_F(Steering, sends_all_to_side_a_at_first) {
  for (int i = 0; i < 200; ++i) ASSERT_EQ(reached(), Side::a);
}

TEST_F(Steering, moves_all_new_connections_by_one_call_and_back) {
  for (int flip = 0; flip < 60; ++flip) {
    const Side side = flip % 2 == 0 ? Side::b : Side::a;
    ASSERT_GOOD(steer(pair_.a.get(), side));
    for (int i = 0; i < 20; ++i) ASSERT_EQ(reached(), side) << "flip " << flip;
  }
}

TEST_F(Steering, is_asked_by_any_socket_of_the_pair) {
  ASSERT_GOOD(steer(pair_.b.get(), Side::b));
  EXPECT_EQ(reached(), Side::b);
  ASSERT_GOOD(steer(pair_.b.get(), Side::a));
  EXPECT_EQ(reached(), Side::a);
}

TEST_F(Steering, sends_the_probe_to_the_side_that_it_asks_for_on_the_port_of_the_users) {
  for (const Side live : {Side::a, Side::b}) {
    for (const int percent : {0, 50, 100}) {
      ASSERT_GOOD(steer(pair_.a.get(), live, percent));
      for (const Side asked : {Side::a, Side::b}) {
        for (int i = 0; i < 20; ++i) ASSERT_EQ(reached(probe_source(asked)), asked);
      }
    }
  }
}

TEST_F(Steering, gives_the_other_side_its_weight_within_a_point) {
  constexpr int kConnections = 20'000;
  for (const int percent : {1, 5, 25}) {
    ASSERT_GOOD(steer(pair_.a.get(), Side::a, percent));
    EXPECT_NEAR(percent_of_b(kConnections), percent, 1.0);
  }
  ASSERT_GOOD(steer(pair_.a.get(), Side::b, 25));
  EXPECT_NEAR(percent_of_b(kConnections), 75, 1.0);
  ASSERT_GOOD(steer(pair_.a.get(), Side::a, 100));
  EXPECT_EQ(percent_of_b(500), 100);
}

TEST_F(Steering, keeps_connections_that_wait_on_the_side_that_loses) {
  std::vector<UniqueFd> clients;
  clients.reserve(50);
  for (int i = 0; i < 50; ++i) clients.push_back(connect());
  EXPECT_EQ(connections_waiting(pair_.a.get()), 50);
  ASSERT_GOOD(steer(pair_.a.get(), Side::b));
  clients.push_back(connect());
  EXPECT_EQ(connections_waiting(pair_.a.get()), 50);
  EXPECT_EQ(connections_waiting(pair_.b.get()), 1);
  for (int left = 50; left > 0; --left) {
    EXPECT_EQ(connections_waiting(pair_.a.get()), left);
    EXPECT_TRUE(accepts(pair_.a));
  }
  EXPECT_EQ(connections_waiting(pair_.a.get()), 0);
  EXPECT_FALSE(accepts(pair_.a));
}

TEST_F(Steering, tells_those_whom_nobody_can_accept_any_more) {
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Result<SocketAddress> where = socket_address(*parse_address(pair_.address));
  ASSERT_EQ(::connect(client.get(), where->get(), where->size), 0);
  EXPECT_EQ(reset_waiting(pair_.a.get()), 1);
  pollfd ended{.fd = client.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ended, 1, 10'000), 1);
  EXPECT_TRUE((ended.revents & (POLLERR | POLLHUP)) != 0);
  EXPECT_EQ(connections_waiting(pair_.a.get()), 0);
}

TEST_F(Steering, takes_no_address_that_somebody_else_has) {
  EXPECT_ERROR(ErrorKind::conflict, bind_steered({.name = "again", .listen = pair_.address}));
  EXPECT_ERROR(ErrorKind::conflict, bind_socket({.name = "again", .listen = pair_.address}));
  ASSERT_OK(const BoundSocket other, bind_socket({.name = "other", .listen = "127.0.0.1:0"}));
  EXPECT_ERROR(ErrorKind::conflict, bind_steered({.name = "mine", .listen = other.address}));
}

TEST_F(Steering, survives_duplicates_that_come_and_go) {
  ASSERT_GOOD(steer(pair_.a.get(), Side::b));
  for (int i = 0; i < 5; ++i) {
    const UniqueFd a(::fcntl(pair_.a.get(), F_DUPFD_CLOEXEC, 0));
    const UniqueFd b(::fcntl(pair_.b.get(), F_DUPFD_CLOEXEC, 0));
    pair_.a = UniqueFd(::fcntl(a.get(), F_DUPFD_CLOEXEC, 0));
    pair_.b = UniqueFd(::fcntl(b.get(), F_DUPFD_CLOEXEC, 0));
  }
  EXPECT_EQ(reached(), Side::b);
}

TEST(CanBeSteered, what_is_tcp_on_the_loopback_of_ip_4_or_on_all_of_it) {
  EXPECT_TRUE(can_be_steered("127.0.0.1:80"));
  EXPECT_TRUE(can_be_steered("localhost:80"));
  EXPECT_TRUE(can_be_steered("127.8.8.8:0"));
  EXPECT_TRUE(can_be_steered("0.0.0.0:80"));
  EXPECT_FALSE(can_be_steered("192.0.2.1:80"));
  EXPECT_FALSE(can_be_steered("[::1]:80"));
  EXPECT_FALSE(can_be_steered("[::]:80"));
  EXPECT_FALSE(can_be_steered("unix:/run/x"));
  EXPECT_FALSE(can_be_steered(probe_source(Side::a) + ":80")) << "its clients would have that address, too";
  EXPECT_FALSE(can_be_steered("nonsense"));
}

}  // namespace
}  // namespace sb::supervise
