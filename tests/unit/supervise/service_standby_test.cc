// A second process of the live version, for the first one's crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class ServiceStandby : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(service_, world_.supervisor->ensure(deployment(1), true));
    service_->start([](const Status&) {});
    live_ = world_.newest();
    world_.ready(live_);
    world_.settle();
    spare_ = world_.newest();
    ASSERT_NE(spare_, live_);
    world_.ready(spare_);
    ASSERT_EQ(world_.status().standby, "ready");
  }
  [[nodiscard]] Deployment deployment(int version) const {
    Deployment deployment = world_.deployment(version);
    deployment.spec.standby = true;
    return deployment;
  }
  void restart() {
    world_.restart();
    service_ = world_.supervisor->find("web");
  }
  void expect_users_at(pid_t pid) {
    for (int i = 0; i < 20; ++i) {
      const UniqueFd client = world_.connect();
      ASSERT_TRUE(world_.accepts(pid));
    }
  }
  void fall_ill(pid_t pid) {
    Notification ill;
    ill.watchdog_trigger = true;
    service_->notify(*service_->instance_of(pid), ill, {}, 0);
  }
  [[nodiscard]] static auto signal_to(pid_t pid, int signal) { return Contains(Pair(pid, signal)); }
  [[nodiscard]] pid_t live_pid() { return world_.status().pid; }

  tests::FakeWorld world_{/*steers=*/true};
  Service* service_ = nullptr;
  pid_t live_ = 0;
  pid_t spare_ = 0;
};

TEST_F(ServiceStandby, has_no_users_until_the_live_one_ends_and_all_of_them_from_then_on) {
  expect_users_at(live_);
  const std::size_t started = world_.processes.started.size();
  world_.processes.end(live_);
  EXPECT_EQ(world_.processes.started.size(), started) << "nothing has to be started first";
  EXPECT_EQ(live_pid(), spare_);
  EXPECT_EQ(world_.status().state, "running");
  EXPECT_EQ(world_.status().restarts, 1);
  expect_users_at(spare_);
}

TEST_F(ServiceStandby, is_followed_by_another_one_which_takes_what_waited_for_the_dead) {
  const UniqueFd waiting = world_.connect();
  world_.processes.end(live_);
  world_.settle();
  const pid_t next = world_.newest();
  ASSERT_NE(next, spare_);
  EXPECT_EQ(world_.status().standby, "starting");
  EXPECT_TRUE(world_.accepts(next));
  world_.ready(next);
  EXPECT_EQ(world_.status().standby, "ready");
  world_.processes.end(spare_);
  EXPECT_EQ(live_pid(), next);
  expect_users_at(next);
}

TEST_F(ServiceStandby, takes_over_from_one_that_is_ill_and_the_next_one_takes_what_waited_for_that) {
  const UniqueFd waiting = world_.connect();
  fall_ill(live_);
  EXPECT_EQ(live_pid(), spare_);
  expect_users_at(spare_);
  world_.pass(5'000);
  ASSERT_FALSE(world_.processes.alive.contains(live_));
  const pid_t next = world_.newest();
  ASSERT_NE(next, spare_);
  EXPECT_TRUE(world_.accepts(next));
}

TEST_F(ServiceStandby, that_is_ill_is_replaced_and_the_live_one_is_not) {
  fall_ill(spare_);
  EXPECT_EQ(live_pid(), live_);
  EXPECT_EQ(world_.status().restarts, 0);
  EXPECT_THAT(world_.processes.signals, signal_to(spare_, SIGKILL));
  world_.settle();
  const pid_t next = world_.newest();
  ASSERT_NE(next, spare_);
  world_.ready(next);
  EXPECT_EQ(world_.status().standby, "ready");
}

TEST_F(ServiceStandby, that_still_boots_is_the_next_start) {
  world_.processes.end(live_);
  world_.settle();
  const pid_t booting = world_.newest();
  world_.processes.end(spare_);
  EXPECT_EQ(live_pid(), booting);
  EXPECT_EQ(world_.status().state, "starting");
  const std::size_t started = world_.processes.started.size();
  world_.ready(booting);
  EXPECT_EQ(world_.status().state, "running");
  world_.pass(100);
  EXPECT_EQ(world_.processes.started.size(), started + 1) << "and its own standby follows";
}

TEST_F(ServiceStandby, that_cannot_live_is_started_ever_more_seldom) {
  std::size_t before = world_.processes.started.size();
  for (int i = 0; i < 3; ++i) {
    world_.processes.end(world_.newest());
    world_.settle();
  }
  EXPECT_EQ(world_.processes.started.size(), before + 1) << "at once, and then no more";
  EXPECT_EQ(world_.status().standby, "waiting");
  EXPECT_EQ(live_pid(), live_);
  world_.pass(50);
  EXPECT_EQ(world_.processes.started.size(), before + 2);
  before = world_.processes.started.size();
  world_.processes.end(world_.newest());
  world_.pass(150);
  EXPECT_EQ(world_.processes.started.size(), before);
  world_.pass(100);
  EXPECT_EQ(world_.processes.started.size(), before + 1);
}

TEST_F(ServiceStandby, is_started_soon_for_who_waits_at_the_socket_of_one_that_crashed) {
  for (int crash = 0; crash < 5; ++crash) {
    world_.processes.end(live_pid());
    world_.pass(6'000);
    world_.ready(world_.newest());
  }
  const UniqueFd client = world_.connect();
  const std::size_t before = world_.processes.started.size();
  world_.processes.end(live_pid());
  world_.pass(199);
  EXPECT_EQ(world_.processes.started.size(), before);
  world_.pass(1);
  EXPECT_EQ(world_.processes.started.size(), before + 1) << "and not after half a minute";
}

TEST_F(ServiceStandby, gives_its_sockets_to_the_next_version_and_comes_back_after_the_swap) {
  bool up = false;
  service_->bring_up(deployment(2), [&](const Status& status) { up = status.has_value(); });
  EXPECT_THAT(world_.processes.signals, signal_to(spare_, SIGKILL));
  world_.settle();
  const pid_t incoming = world_.newest();
  ASSERT_NE(incoming, spare_);
  world_.ready(incoming);
  ASSERT_TRUE(up);
  EXPECT_EQ(world_.status().standby, "waiting");
  service_->commit([] {});
  expect_users_at(incoming);
  world_.pass(1'000);
  ASSERT_FALSE(world_.processes.alive.contains(live_)) << "the old one has drained";
  const pid_t next = world_.newest();
  ASSERT_NE(next, incoming);
  EXPECT_EQ(world_.processes.started.back().spec.directory, deployment(2).directory);
  world_.ready(next);
  EXPECT_EQ(world_.status().standby, "ready");
}

TEST_F(ServiceStandby, waits_until_the_old_version_need_not_rest_any_more) {
  service_->bring_up(deployment(2), [](const Status&) {});
  world_.settle();
  world_.ready(world_.newest());
  service_->commit([] {}, Service::Old::rests);
  const std::size_t started = world_.processes.started.size();
  world_.pass(1'000);
  EXPECT_EQ(world_.processes.started.size(), started);
  service_->release([] {});
  world_.pass(1'000);
  EXPECT_EQ(world_.processes.started.size(), started + 1);
}

TEST_F(ServiceStandby, gives_who_waited_for_the_dead_to_the_next_version_which_is_then_not_just_killed) {
  const UniqueFd waiting = world_.connect();
  world_.processes.end(live_);
  service_->bring_up(deployment(2), [](const Status&) {});
  const pid_t incoming = world_.newest();
  ASSERT_NE(incoming, spare_);
  EXPECT_TRUE(world_.accepts(incoming));
  service_->abandon([](const Status&) {});
  EXPECT_THAT(world_.processes.signals, Not(signal_to(incoming, SIGKILL))) << "it has a user";
}

TEST_F(ServiceStandby, does_not_wait_with_the_next_version_for_one_that_is_ill) {
  const UniqueFd waiting = world_.connect();
  fall_ill(live_);
  world_.processes.stubborn.insert(live_);
  EXPECT_THAT(world_.processes.signals, Not(signal_to(live_, SIGTERM))) << "it may accept what waits";
  service_->bring_up(deployment(2), [](const Status&) {});
  EXPECT_THAT(world_.processes.signals, signal_to(live_, SIGTERM));
  EXPECT_TRUE(world_.accepts(world_.newest()));
}

TEST_F(ServiceStandby, comes_back_when_the_next_version_could_not_even_be_started) {
  world_.processes.fails = [](const os::SpawnSpec&) { return true; };
  service_->bring_up(deployment(2), [](const Status& up) { EXPECT_FALSE(up.has_value()); });
  world_.settle();
  world_.processes.fails = nullptr;
  service_->abandon([](const Status& back) { EXPECT_TRUE(back.has_value()); });
  world_.pass(100);
  EXPECT_EQ(world_.status().standby, "starting");
}

TEST_F(ServiceStandby, comes_back_after_the_version_before_was_taken_back_from_one_that_had_died) {
  service_->bring_up(deployment(2), [](const Status&) {});
  world_.settle();
  const pid_t incoming = world_.newest();
  world_.ready(incoming);
  service_->commit([] {}, Service::Old::rests);
  service_->hold();
  world_.processes.end(incoming);
  service_->take_back();
  EXPECT_EQ(live_pid(), live_);
  world_.pass(100);
  EXPECT_EQ(world_.status().standby, "starting");
}

TEST_F(ServiceStandby, neither_parks_nor_drops_what_belongs_to_the_live_one) {
  const auto notify = [this](pid_t from, const Notification& what) {
    std::vector<UniqueFd> fds;
    if (what.park) fds.emplace_back(::dup(STDERR_FILENO));
    service_->notify(*service_->instance_of(from), what, std::move(fds), 16);
  };
  Notification park;
  park.park = true;
  park.fd_name = "state";
  Notification drop;
  drop.drop_parked = true;
  drop.fd_name = "state";
  notify(spare_, park);
  EXPECT_EQ(service_->parked(), 0U);
  notify(live_, park);
  notify(spare_, drop);
  EXPECT_EQ(service_->parked(), 1U);
}

TEST_F(ServiceStandby, goes_with_the_service_when_that_is_stopped) {
  bool gone = false;
  service_->stop([&] { gone = true; });
  world_.settle();
  EXPECT_TRUE(gone);
  EXPECT_THAT(world_.processes.alive, testing::IsEmpty());
  world_.pass(60'000);
  EXPECT_THAT(world_.processes.alive, testing::IsEmpty());
}

TEST_F(ServiceStandby, is_adopted_by_the_next_conductor_and_still_takes_over) {
  const std::size_t started = world_.processes.started.size();
  restart();
  world_.settle();
  EXPECT_EQ(world_.processes.started.size(), started);
  EXPECT_EQ(live_pid(), live_);
  world_.processes.end(live_);
  EXPECT_EQ(live_pid(), spare_);
  expect_users_at(spare_);
}

TEST_F(ServiceStandby, takes_over_when_the_live_one_died_together_with_the_conductor) {
  world_.processes.forget_watchers();
  world_.processes.alive.erase(live_);
  restart();
  world_.settle();
  EXPECT_EQ(live_pid(), spare_);
  expect_users_at(spare_);
}

TEST_F(ServiceStandby, that_took_over_leaves_its_side_to_the_next_start_of_the_service) {
  world_.processes.end(live_);
  world_.settle();
  bool up = false;
  service_->restart([&](const Status& status) { up = status.has_value(); });
  world_.settle();
  const pid_t next = world_.newest();
  world_.ready(next);
  ASSERT_TRUE(up);
  world_.settle();
  restart();
  world_.settle();
  EXPECT_EQ(live_pid(), next);
  expect_users_at(next);
}

TEST_F(ServiceStandby, that_took_over_from_one_that_is_ill_is_live_for_a_conductor_that_has_no_record_of_it) {
  fall_ill(live_);
  restart();
  EXPECT_EQ(live_pid(), spare_);
  expect_users_at(spare_);
}

TEST_F(ServiceStandby, that_took_over_is_live_for_the_next_conductor) {
  world_.processes.end(live_);
  world_.settle();
  world_.ready(world_.newest());
  restart();
  world_.settle();
  EXPECT_EQ(live_pid(), spare_);
  expect_users_at(spare_);
}

TEST(ServiceStandbyWithoutSteering, is_impossible_and_said_to_be) {
  tests::FakeWorld world;
  Deployment deployment = world.deployment(1);
  deployment.spec.standby = true;
  ASSERT_OK(Service* const service, world.supervisor->ensure(deployment, true));
  service->start([](const Status&) {});
  world.ready(world.newest());
  world.pass(1'000);
  EXPECT_EQ(world.processes.started.size(), 1U);
  EXPECT_EQ(world.status().standby, "impossible");
}

}  // namespace
}  // namespace sb::supervise
