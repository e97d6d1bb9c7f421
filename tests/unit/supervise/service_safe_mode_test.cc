// When a service is answered for, and when no more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ServiceSafeMode : public ::testing::Test {
 protected:
  void begin(const Deployment& deployment) {
    Result<Service*> made = world_.supervisor->ensure(deployment, true);
    ASSERT_TRUE(made.has_value());
    service_ = *made;
    service_->start([](const Status&) {});
    world_.settle();
  }
  void begin_and_be_up() {
    begin(world_.deployment(1));
    world_.ready(world_.newest());
    ASSERT_EQ(service_->status().state, "running");
  }
  // Crashes until it has to wait for a second.
  void crash_until_safe_mode() {
    for (int i = 0; i < 5; ++i) {
      world_.processes.end(world_.newest(), {.known = true, .code = 7, .signal = 0});
      world_.pass(i < 4 ? 200 : 0);
    }
    ASSERT_TRUE(answers()) << world_.log;
  }
  [[nodiscard]] bool answers() const { return world_.safe_mode.cases.contains("web"); }

  tests::FakeWorld world_;
  Service* service_ = nullptr;
};

TEST_F(ServiceSafeMode, begins_when_the_next_start_is_a_second_away_and_says_what_is_known) {
  tests::write(world_.home.service("web") / "log", "line 1\ncannot open the database\n");
  world_.versions = {{.number = 1, .state = "candidate"}, {.number = 4, .state = "known_good"}};
  begin_and_be_up();
  for (int i = 0; i < 4; ++i) {
    world_.processes.end(world_.newest(), {.known = true, .code = 7, .signal = 0});
    EXPECT_FALSE(answers()) << "crash " << i + 1;
    world_.pass(200);
    EXPECT_FALSE(answers()) << "crash " << i + 1;
  }
  world_.processes.end(world_.newest(), {.known = true, .code = 7, .signal = 0});
  ASSERT_TRUE(answers());
  EXPECT_EQ(service_->status().state, "safe mode");
  const tests::FakeSafeMode::Case& known = world_.safe_mode.cases["web"];
  EXPECT_THAT(known.sockets, SizeIs(1));
  EXPECT_FALSE(known.shared);
  EXPECT_EQ(known.diagnosis.version, 1);
  EXPECT_EQ(known.diagnosis.trouble, "it ended: exit code 7");
  EXPECT_EQ(known.diagnosis.output, "line 1\ncannot open the database\n");
  EXPECT_EQ(known.diagnosis.next_start_ms, world_.timers.clock().unix_ms() + 1'000);
  EXPECT_EQ(known.diagnosis.remedy, "selfbuild rollback v4 --project p");
}

TEST_F(ServiceSafeMode, goes_on_while_it_is_started_and_ends_the_moment_it_is_ready) {
  begin_and_be_up();
  crash_until_safe_mode();
  world_.pass(1'000);
  EXPECT_TRUE(world_.safe_mode.cases["web"].shared) << "it may accept already";
  EXPECT_EQ(service_->status().state, "safe mode");
  world_.probe.sick.insert(world_.folder(1));  // ready, but not yet known to be healthy
  world_.ready(world_.newest());
  EXPECT_FALSE(answers());
  EXPECT_EQ(service_->status().state, "starting");
  world_.probe.sick.clear();
  world_.pass(1'000);
  EXPECT_EQ(service_->status().state, "running");
}

TEST_F(ServiceSafeMode, does_not_pause_when_the_next_start_fails_too) {
  begin_and_be_up();
  crash_until_safe_mode();
  world_.pass(1'000);
  world_.processes.end(world_.newest(), {.known = true, .code = 8, .signal = 0});
  ASSERT_TRUE(answers());
  EXPECT_FALSE(world_.safe_mode.cases["web"].shared);
  EXPECT_EQ(world_.safe_mode.cases["web"].diagnosis.last_exit, "exit code 8");
  EXPECT_EQ(world_.safe_mode.cases["web"].diagnosis.next_start_ms, world_.timers.clock().unix_ms() + 5'000);
}

TEST_F(ServiceSafeMode, leaves_a_slow_start_after_a_crash_to_the_backlog) {
  begin_and_be_up();
  world_.processes.end(world_.newest());
  world_.pass(9'000);
  EXPECT_FALSE(answers());
}

TEST_F(ServiceSafeMode, begins_when_a_start_hangs_after_another_that_failed) {
  begin_and_be_up();
  world_.processes.end(world_.newest());
  world_.settle();
  world_.processes.end(world_.newest());  // before it was ready
  world_.settle();
  world_.pass(999);
  EXPECT_FALSE(answers());
  world_.pass(1);
  EXPECT_TRUE(answers());
  EXPECT_TRUE(world_.safe_mode.cases["web"].shared);
  world_.ready(world_.newest());
  EXPECT_FALSE(answers());
}

TEST_F(ServiceSafeMode, begins_for_a_program_that_cannot_be_executed) {
  world_.processes.fails = [](const os::SpawnSpec&) { return true; };
  begin(world_.deployment(1));
  world_.pass(1'500);
  ASSERT_TRUE(answers());
  EXPECT_THAT(world_.safe_mode.cases["web"].diagnosis.trouble, HasSubstr("cannot start"));
}

TEST_F(ServiceSafeMode, is_not_for_services_that_do_not_want_it) {
  Deployment deployment = world_.deployment(1);
  deployment.spec.safe_mode = SafeModeKind::none;
  world_.processes.fails = [](const os::SpawnSpec&) { return true; };
  begin(deployment);
  world_.pass(60'000);
  EXPECT_FALSE(answers());
  EXPECT_EQ(service_->status().state, "backoff");
}

TEST_F(ServiceSafeMode, ends_when_the_service_is_stopped_or_removed) {
  begin_and_be_up();
  crash_until_safe_mode();
  service_->stop([] {});
  EXPECT_FALSE(answers());
  EXPECT_EQ(service_->status().state, "stopped");
  service_->start([](const Status&) {});
  world_.settle();
  crash_until_safe_mode();
  world_.supervisor->remove("web");
  EXPECT_FALSE(answers());
}

TEST_F(ServiceSafeMode, ends_with_a_version_that_is_ready) {
  begin_and_be_up();
  crash_until_safe_mode();
  std::string answer;
  service_->bring_up(world_.deployment(2), [&](const Status& up) { answer = up ? "up" : up.error().what; });
  EXPECT_TRUE(world_.safe_mode.cases["web"].shared);
  world_.ready(world_.newest());
  EXPECT_EQ(answer, "up");
  EXPECT_FALSE(answers());
  service_->commit([] {});
  world_.pass(60'000);
  EXPECT_FALSE(answers());
  EXPECT_EQ(service_->status().state, "running");
}

TEST_F(ServiceSafeMode, goes_on_when_the_version_that_was_to_mend_it_is_dropped) {
  begin_and_be_up();
  crash_until_safe_mode();
  world_.pass(1'000);
  world_.processes.end(world_.newest());  // the next start is 5 s away
  service_->bring_up(world_.deployment(2), [](const Status&) {});
  world_.ready(world_.newest());
  EXPECT_FALSE(answers());
  service_->abandon([](const Status&) {});  // another service of the new version did not come up
  world_.settle();
  EXPECT_TRUE(answers());
}

}  // namespace
}  // namespace sb::supervise
