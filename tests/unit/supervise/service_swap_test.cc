// What a service does for a swap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ServiceSwap : public ::testing::Test {
 protected:
  void begin(SwapMode mode = SwapMode::overlap) {
    mode_ = mode;
    Result<Service*> made = world_.supervisor->ensure(version(1), true);
    ASSERT_TRUE(made.has_value());
    service_ = *made;
    service_->start([](const Status&) {});
    old_ = world_.newest();
    world_.ready(old_);
    ASSERT_EQ(service_->status().state, "running");
  }
  [[nodiscard]] Deployment version(int number) const {
    Deployment deployment = world_.deployment(number);
    deployment.spec.swap = mode_;
    return deployment;
  }
  void bring_up(int number) {
    answer_ = "none yet";
    service_->bring_up(version(number), [this](const Status& up) { answer_ = up ? "up" : up.error().what; });
  }

  tests::FakeWorld world_;
  SwapMode mode_ = SwapMode::overlap;
  Service* service_ = nullptr;
  pid_t old_ = 0;
  std::string answer_;
};

TEST_F(ServiceSwap, starts_the_new_one_beside_the_old_one_on_the_same_socket) {
  begin();
  bring_up(2);
  EXPECT_EQ(world_.processes.alive.size(), 2U);
  EXPECT_EQ(world_.processes.started[0].spec.sockets, world_.processes.started[1].spec.sockets);
  EXPECT_EQ(answer_, "none yet");
  world_.ready(world_.newest());
  EXPECT_EQ(answer_, "up");
  EXPECT_THAT(world_.processes.signals, IsEmpty());
  bool drained = false;
  service_->commit([&] { drained = true; });
  world_.settle();
  EXPECT_TRUE(drained);
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), IsEmpty());
  EXPECT_EQ(service_->status().version, 2);
  EXPECT_EQ(service_->status().state, "running");
}

TEST_F(ServiceSwap, leaves_the_old_one_alone_when_the_new_one_dies) {
  begin();
  bring_up(2);
  world_.processes.end(world_.newest(), {.known = true, .code = 7, .signal = 0});
  EXPECT_EQ(answer_, "it ended: exit code 7");
  service_->abandon([](const Status& back) { EXPECT_TRUE(back.has_value()); });
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), ElementsAre(old_));
  EXPECT_THAT(world_.processes.signals, IsEmpty());
}

TEST_F(ServiceSwap, kills_the_new_one_that_does_not_get_ready) {
  begin();
  bring_up(2);
  world_.pass(10'000);
  EXPECT_EQ(answer_, "not ready within 10.0 s");
  EXPECT_THAT(world_.processes.alive_in(world_.folder(2)), IsEmpty());
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), ElementsAre(old_));
}

TEST_F(ServiceSwap, tells_that_the_new_one_died_after_it_was_up) {
  begin();
  bring_up(2);
  world_.ready(world_.newest());
  EXPECT_EQ(service_->incoming_trouble(), "");
  world_.processes.end(world_.newest());
  EXPECT_THAT(service_->incoming_trouble(), HasSubstr("exit code 1"));
}

TEST_F(ServiceSwap, restarts_the_old_one_that_dies_while_the_new_one_starts) {
  begin();
  bring_up(2);
  world_.processes.end(old_);
  world_.settle();
  EXPECT_EQ(world_.processes.alive_in(world_.folder(1)).size(), 1U);
  EXPECT_EQ(service_->status().version, 1);
}

TEST_F(ServiceSwap, drains_the_old_one_before_it_starts_the_new_one) {
  begin(SwapMode::drain_first);
  world_.processes.stubborn.insert(old_);
  bring_up(2);
  world_.pass(9'000);
  EXPECT_EQ(world_.processes.started.size(), 1U) << "two at once";
  world_.pass(1'000);
  EXPECT_EQ(world_.processes.started.size(), 2U);
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), IsEmpty());
  world_.ready(world_.newest());
  EXPECT_EQ(answer_, "up");
}

TEST_F(ServiceSwap, starts_the_drained_one_again_when_the_new_one_fails) {
  begin(SwapMode::drain_first);
  bring_up(2);
  world_.settle();
  world_.processes.end(world_.newest());
  world_.pass(60'000);
  EXPECT_THAT(world_.processes.alive, IsEmpty()) << "the old one was restarted while a swap held it";
  std::string back = "none yet";
  service_->abandon([&](const Status& up) { back = up ? "up" : up.error().what; });
  world_.settle();
  EXPECT_EQ(back, "none yet");
  world_.ready(world_.newest());
  EXPECT_EQ(back, "up");
  EXPECT_EQ(world_.processes.alive_in(world_.folder(1)).size(), 1U);
}

TEST_F(ServiceSwap, is_not_disturbed_by_a_restart_that_was_under_way) {
  begin(SwapMode::drain_first);
  world_.processes.stubborn.insert(old_);
  std::string restarted = "none yet";
  service_->restart([&](const Status& up) { restarted = up ? "up" : to_string(up.error().kind); });
  bring_up(2);
  world_.pass(10'000);
  EXPECT_EQ(restarted, "conflict");
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), IsEmpty()) << "two at once";
  world_.ready(world_.newest());
  EXPECT_EQ(answer_, "up");
}

TEST_F(ServiceSwap, answers_a_restart_that_it_has_overtaken) {
  begin();
  std::string restarted = "none yet";
  bring_up(2);
  world_.ready(world_.newest());
  service_->restart([&](const Status& up) { restarted = up ? "up" : up.error().what; });
  world_.settle();
  EXPECT_EQ(world_.processes.alive_in(world_.folder(1)).size(), 1U);
  EXPECT_EQ(restarted, "none yet");
  service_->commit([] {});
  EXPECT_EQ(restarted, "up");
}

TEST_F(ServiceSwap, tells_its_watcher_of_the_third_crash_and_does_not_restart) {
  begin();
  int told = 0;
  service_->watch([&](const std::string& cause) {
    ++told;
    EXPECT_EQ(cause, "it ended 3 times: killed by SIGSEGV");
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(told, 0);
    world_.processes.end(world_.newest(), {.known = true, .code = 0, .signal = SIGSEGV});
    world_.settle();
  }
  world_.pass(60'000);
  EXPECT_EQ(told, 1);
  EXPECT_THAT(world_.processes.alive, IsEmpty());
}

TEST_F(ServiceSwap, is_retried_with_back_off_as_a_last_resort) {
  begin();
  service_->settle_on(version(3), true);
  world_.settle();
  EXPECT_EQ(service_->status().version, 3);
  EXPECT_EQ(world_.processes.alive_in(world_.folder(3)).size(), 1U);
  EXPECT_THAT(world_.processes.alive_in(world_.folder(1)), IsEmpty());
  world_.processes.end(world_.newest());
  world_.pass(50);
  EXPECT_EQ(world_.processes.alive_in(world_.folder(3)).size(), 1U);
}

TEST_F(ServiceSwap, binds_a_socket_that_only_the_new_one_has_and_closes_what_nobody_uses) {
  begin();
  Deployment next = version(2);
  next.spec.sockets = {{.name = "http", .listen = "127.0.0.1:0"}, {.name = "admin", .listen = "127.0.0.1:0"}};
  service_->bring_up(next, [](const Status&) {});
  EXPECT_THAT(world_.processes.started.back().spec.socket_names, ElementsAre("http", "admin"));
  EXPECT_EQ(world_.vault.held.size(), 2U);
  service_->close_unused_sockets();
  EXPECT_EQ(world_.vault.held.size(), 2U) << "what the next version uses was closed";
  service_->abandon([](const Status&) {});
  world_.settle();
  EXPECT_EQ(world_.vault.held.size(), 1U);
}

TEST_F(ServiceSwap, finds_both_instances_again_after_a_crash_of_the_conductor) {
  begin();
  bring_up(2);
  const pid_t incoming = world_.newest();
  world_.ready(incoming);
  world_.restart();
  service_ = world_.supervisor->find("web");
  EXPECT_TRUE(service_->incoming_is(version(2)));
  EXPECT_EQ(service_->status().pid, old_);
  service_->commit([] {});
  world_.settle();
  EXPECT_EQ(service_->status().pid, incoming);
  EXPECT_EQ(world_.processes.alive.size(), 1U);
}

}  // namespace
}  // namespace sb::supervise
