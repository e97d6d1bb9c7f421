// What a service does with its two sockets on each address: canary, switch, rest, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class ServiceSteer : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(service_, world_.supervisor->ensure(world_.deployment(1), true));
    service_->start([](const Status&) {});
    old_ = world_.newest();
    world_.ready(old_);
    ASSERT_EQ(world_.status().state, "running");
  }
  void bring_up() {
    service_->bring_up(world_.deployment(2), [](const Status& up) { ASSERT_GOOD(up); });
    new_ = world_.newest();
    world_.ready(new_);
    ASSERT_EQ(service_->incoming_trouble(), "");
  }
  void restart() {
    world_.restart();
    service_ = world_.supervisor->find("web");
  }
  // The socket that a process was given.
  [[nodiscard]] int socket_of(pid_t pid) const { return world_.processes.alive.at(pid).sockets.at(0); }
  // A client that connects, and the process whose socket it waits at.
  [[nodiscard]] pid_t reached() {
    const UniqueFd client = world_.connect();
    for (const pid_t pid : {old_, new_}) {
      if (pid != 0 && world_.processes.alive.contains(pid) && world_.accepts(pid)) return pid;
    }
    return 0;
  }
  [[nodiscard]] static auto signal_to(pid_t pid, int signal) { return Contains(Pair(pid, signal)); }

  tests::FakeWorld world_{/*steers=*/true};
  Service* service_ = nullptr;
  pid_t old_ = 0;
  pid_t new_ = 0;
};

TEST_F(ServiceSteer, says_so_in_its_status) {
  EXPECT_EQ(world_.status().steering, "steered");
  EXPECT_TRUE(service_->can_steer());
}

TEST_F(ServiceSteer, gives_the_incoming_version_a_socket_that_no_user_reaches) {
  bring_up();
  EXPECT_NE(socket_of(old_), socket_of(new_));
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reached(), old_);
}

TEST_F(ServiceSteer, asks_each_instance_from_an_address_of_its_own) {
  bring_up();
  EXPECT_EQ(service_->addresses_of(Service::Reached::live).at(0).source, probe_source(Side::a));
  EXPECT_EQ(service_->addresses_of(Service::Reached::incoming).at(0).source, probe_source(Side::b));
  EXPECT_EQ(service_->addresses_of(Service::Reached::by_users).at(0).source, "");
}

TEST_F(ServiceSteer, moves_every_new_connection_with_the_commit) {
  bring_up();
  service_->commit([] {});
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reached(), new_);
}

TEST_F(ServiceSteer, lets_the_old_one_accept_what_waits_before_it_is_told_to_end) {
  bring_up();
  const UniqueFd waiting = world_.connect();
  bool drained = false;
  service_->commit([&] { drained = true; });
  world_.pass(500);
  EXPECT_THAT(world_.processes.signals, Not(signal_to(old_, SIGTERM)));
  EXPECT_TRUE(world_.accepts(old_));
  world_.pass(50);
  EXPECT_THAT(world_.processes.signals, signal_to(old_, SIGTERM));
  EXPECT_TRUE(drained);
}

TEST_F(ServiceSteer, believes_one_that_speaks_to_answer_what_it_has_begun) {
  bring_up();
  world_.processes.clients_waiting[old_] = 1;
  service_->commit([] {});
  world_.pass(100);
  EXPECT_THAT(world_.processes.signals, signal_to(old_, SIGTERM));
}

TEST_F(ServiceSteer, lets_one_that_does_not_speak_answer_before_it_is_told_to_end) {
  Deployment mute = world_.deployment(2);
  mute.spec.ready.kind = ProbeSpec::Kind::none;
  service_->bring_up(mute, [](const Status&) {});
  new_ = world_.newest();
  world_.pass(100);
  ASSERT_EQ(service_->incoming_trouble(), "");
  service_->commit([] {});
  world_.pass(100);
  service_->bring_up(world_.deployment(3), [](const Status&) {});
  world_.ready(world_.newest());
  world_.processes.clients_waiting[new_] = 1;
  service_->commit([] {});
  world_.pass(1'000);
  EXPECT_THAT(world_.processes.signals, Not(signal_to(new_, SIGTERM)));
  world_.processes.clients_waiting.clear();
  world_.pass(50);
  EXPECT_THAT(world_.processes.signals, signal_to(new_, SIGTERM));
}

TEST_F(ServiceSteer, waits_for_one_that_accepts_nothing_no_longer_than_three_seconds) {
  bring_up();
  const UniqueFd waiting = world_.connect();
  service_->commit([] {});
  world_.pass(2'900);
  EXPECT_THAT(world_.processes.signals, Not(signal_to(old_, SIGTERM)));
  world_.pass(200);
  EXPECT_THAT(world_.processes.signals, signal_to(old_, SIGTERM));
  EXPECT_THAT(world_.log, HasSubstr("1 connections that nobody could accept any more were reset"));
  pollfd ended{.fd = waiting.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "its client would wait for ever";
}

TEST_F(ServiceSteer, sends_a_part_of_the_users_to_a_canary_and_takes_them_back) {
  bring_up();
  ASSERT_GOOD(service_->steer_to_incoming(50));
  int at_new = 0;
  for (int i = 0; i < 400; ++i) at_new += reached() == new_ ? 1 : 0;
  EXPECT_NEAR(at_new, 200, 60);
  service_->abandon([](const Status& back) { EXPECT_TRUE(back.has_value()); });
  EXPECT_THAT(world_.processes.signals, Not(signal_to(new_, SIGKILL))) << "it has users";
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reached(), old_);
  world_.pass(50);
  EXPECT_THAT(world_.processes.signals, signal_to(new_, SIGTERM));
  EXPECT_EQ(world_.status().version, 1);
}

TEST_F(ServiceSteer, sends_everybody_to_the_old_one_as_soon_as_a_canary_dies) {
  bring_up();
  ASSERT_GOOD(service_->steer_to_incoming(100));
  world_.processes.end(new_);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reached(), old_);
}

TEST_F(ServiceSteer, keeps_the_old_one_alive_to_go_back_to_it_by_the_same_call) {
  bring_up();
  service_->commit([] {}, Service::Old::rests);
  world_.pass(1'000);
  EXPECT_TRUE(service_->rests(world_.deployment(1)));
  EXPECT_EQ(reached(), new_);
  service_->take_back();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reached(), old_);
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_EQ(world_.status().state, "running");
  world_.pass(50);
  EXPECT_THAT(world_.processes.signals, signal_to(new_, SIGTERM));
  EXPECT_THAT(world_.processes.signals, Not(signal_to(old_, SIGTERM)));
}

TEST_F(ServiceSteer, drains_the_old_one_when_it_is_not_needed_any_more) {
  bring_up();
  service_->commit([] {}, Service::Old::rests);
  world_.pass(1'000);
  bool drained = false;
  service_->release([&] { drained = true; });
  world_.pass(0);
  EXPECT_TRUE(drained);
  EXPECT_FALSE(service_->rests(world_.deployment(1)));
}

TEST_F(ServiceSteer, does_not_go_back_to_one_that_died_meanwhile) {
  bring_up();
  service_->commit([] {}, Service::Old::rests);
  world_.processes.end(old_);
  EXPECT_FALSE(service_->rests(world_.deployment(1)));
  EXPECT_EQ(world_.status().version, 2);
}

TEST_F(ServiceSteer, restarts_on_the_side_where_its_users_wait) {
  bring_up();
  service_->commit([] {});
  world_.pass(100);
  const UniqueFd waiting = world_.connect();
  world_.processes.end(new_);
  world_.settle();
  new_ = world_.newest();
  EXPECT_TRUE(world_.accepts(new_));
}

TEST_F(ServiceSteer, remembers_sides_and_who_rests_over_the_conductors_death) {
  bring_up();
  service_->commit([] {}, Service::Old::rests);
  restart();
  EXPECT_EQ(world_.status().version, 2);
  EXPECT_EQ(reached(), new_);
  EXPECT_TRUE(service_->can_steer());
  world_.settle();
  EXPECT_TRUE(service_->rests(world_.deployment(1)));
  service_->take_back();
  EXPECT_EQ(reached(), old_);
  restart();
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_EQ(reached(), old_);
}

TEST_F(ServiceSteer, holds_the_backlog_on_one_side_where_two_must_not_run_at_once) {
  Deployment exclusive = world_.deployment(2);
  exclusive.spec.swap = SwapMode::drain_first;
  const UniqueFd waiting = world_.connect();
  service_->bring_up(exclusive, [](const Status&) {});
  world_.pass(100);
  new_ = world_.newest();
  ASSERT_NE(new_, old_);
  EXPECT_TRUE(world_.accepts(new_));
}

TEST_F(ServiceSteer, shares_what_cannot_be_steered_and_says_so) {
  Deployment by_path = world_.deployment(3, "local");
  by_path.spec.sockets[0].listen = "unix:" + (world_.root.path() / "local.sock").string();
  ASSERT_OK(Service* const local, world_.supervisor->ensure(by_path, true));
  local->start([](const Status&) {});
  EXPECT_EQ(world_.status("local").steering, "shared socket");
}

TEST_F(ServiceSteer, remembers_that_it_is_pinned) {
  service_->set_pin({.kind = Pin::Kind::pinned, .reason = "by alice"});
  restart();
  EXPECT_EQ(world_.status().pin, "pinned");
  EXPECT_EQ(world_.status().pin_reason, "by alice");
}

}  // namespace
}  // namespace sb::supervise
