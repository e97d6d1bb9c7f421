// Whether a service that runs is well: its probes apart, what it says itself, and what is held against it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr os::Milliseconds kNow{0};

int answers_until_changed(ProbeVerdict& verdict, bool good) {
  for (int i = 1; i < 1000; ++i) {
    if (verdict.answer(good, kNow)) return i;
  }
  return 0;
}

TEST(ProbeVerdict, needs_several_answers_in_a_row) {
  ProbeVerdict verdict(3, 2);
  EXPECT_FALSE(verdict.answer(false, kNow));
  EXPECT_FALSE(verdict.answer(false, kNow));
  EXPECT_FALSE(verdict.answer(true, kNow));
  EXPECT_EQ(answers_until_changed(verdict, false), 3);
  EXPECT_FALSE(verdict.good());
  EXPECT_EQ(verdict.reason("check"), "3 checks in a row failed");
  EXPECT_FALSE(verdict.answer(true, kNow));
  EXPECT_FALSE(verdict.answer(false, kNow));
  EXPECT_EQ(answers_until_changed(verdict, true), 2);
  EXPECT_TRUE(verdict.good());
}

TEST(ProbeVerdict, is_not_fooled_by_a_good_answer_now_and_then) {
  ProbeVerdict verdict(3, 1);
  int asked = 0;
  bool good = false;
  while (!verdict.answer(good, kNow)) {
    ++asked;
    good = !good;
    ASSERT_LT(asked, 100);
  }
  EXPECT_EQ(verdict.reason("check"), "6 of the last 12 checks failed");
  ProbeVerdict one_in_three(3, 1);
  for (int i = 0; i < 300; ++i) EXPECT_FALSE(one_in_three.answer(i % 3 != 0, kNow)) << i;
}

TEST(ProbeVerdict, asks_for_more_the_more_often_it_has_turned) {
  ProbeVerdict verdict(1, 1);
  for (const int needed : {1, 2, 4, 8, 8}) {
    EXPECT_TRUE(verdict.answer(false, kNow));
    EXPECT_EQ(answers_until_changed(verdict, true), needed);
  }
  const os::Milliseconds later = ProbeVerdict::kMemory + os::Milliseconds(1);
  EXPECT_TRUE(verdict.answer(false, later));
  EXPECT_TRUE(verdict.answer(true, later)) << "what was long ago still counts";
}

class Health : public ::testing::Test {
 protected:
  void begin(const Deployment& deployment) {
    Result<Service*> made = world_.supervisor->ensure(deployment, true);
    ASSERT_TRUE(made.has_value());
    service_ = *made;
    service_->start([](const Status&) {});
    world_.settle();
  }
  void begin_and_be_up() { begin_and_be_up(world_.deployment(1)); }
  void begin_and_be_up(const Deployment& deployment) {
    begin(deployment);
    world_.ready(world_.newest());
    ASSERT_EQ(state(), "running") << world_.log;
  }
  // Its start, its readiness and its health are asked for at different paths.
  [[nodiscard]] Deployment asked_for_all() const {
    Deployment deployment = world_.deployment(1);
    deployment.spec.start = deployment.spec.health;
    deployment.spec.start.path = "/started";
    deployment.spec.ready = deployment.spec.health;
    deployment.spec.ready.path = "/ready";
    return deployment;
  }
  [[nodiscard]] Deployment with_watchdog() const {
    Deployment deployment = world_.deployment(1);
    deployment.spec.health = ProbeSpec{};
    deployment.spec.health.kind = ProbeSpec::Kind::watchdog;
    deployment.spec.health.interval = os::Milliseconds(1'000);
    return deployment;
  }
  // Its check gets no answer in time from now on, but its users do.
  void begin_and_be_busy(const std::function<void()>& when_up = [] {}) {
    const Deployment deployment = world_.deployment(1);
    begin(deployment);
    world_.ready(world_.newest());
    ASSERT_EQ(state(), "running") << world_.log;
    when_up();
    world_.probe.sick_paths = {"/health"};
    world_.probe.slowness[deployment.directory] = deployment.spec.health.timeout;
    world_.processes.answering = {world_.newest()};
  }
  void says(const std::string& datagram) { says(world_.newest(), datagram); }
  void says(pid_t pid, const std::string& datagram) {
    world_.supervisor->notify(pid, parse_notification(datagram));
    world_.settle();
  }
  [[nodiscard]] std::string state() const { return service_->status().state; }
  [[nodiscard]] std::size_t starts() const { return world_.processes.started.size(); }

  tests::FakeWorld world_;
  Service* service_ = nullptr;
};

TEST_F(Health, is_asked_for_one_thing_after_the_other) {
  world_.probe.sick_paths = {"/started", "/ready", "/health"};
  begin(asked_for_all());
  world_.pass(1'000);
  EXPECT_THAT(world_.probe.asked_paths(), ElementsAre("/started"));
  world_.probe.sick_paths.erase("/started");
  world_.pass(1'000);
  EXPECT_THAT(world_.probe.asked_paths(), ElementsAre("/ready", "/started"));
  EXPECT_EQ(state(), "starting");
  world_.probe.sick_paths.erase("/ready");
  world_.pass(1'000);
  EXPECT_EQ(state(), "starting");
  world_.probe.sick_paths.erase("/health");
  world_.pass(100);
  EXPECT_EQ(state(), "running");
}

TEST_F(Health, says_what_a_start_that_takes_too_long_was_asked_for) {
  world_.probe.sick_paths = {"/started"};
  begin(asked_for_all());
  world_.pass(10'000);
  EXPECT_THAT(service_->status().status_text,
              HasSubstr("not started within 10.0 s: GET /started answered 503"));
}

TEST_F(Health, remembers_a_READY_that_came_before_it_had_started) {
  Deployment deployment = asked_for_all();
  deployment.spec.ready = world_.deployment(1).spec.ready;
  world_.probe.sick_paths = {"/started"};
  begin(deployment);
  says("READY=1");
  EXPECT_EQ(state(), "starting");
  world_.probe.sick_paths.clear();
  world_.pass(100);
  EXPECT_EQ(state(), "running");
}

TEST_F(Health, needs_as_many_good_answers_in_a_row_as_its_probe_says) {
  Deployment deployment = world_.deployment(1);
  deployment.spec.health.successes = 3;
  begin(deployment);
  world_.ready(world_.newest());
  world_.pass(25);
  EXPECT_EQ(state(), "starting");
  world_.pass(25);
  EXPECT_EQ(state(), "running");
  EXPECT_EQ(service_->checks_passed(), 3);
}

TEST_F(Health, is_not_doubted_for_want_of_an_answer_while_users_get_theirs) {
  begin_and_be_busy();
  world_.pass(5'000);
  EXPECT_EQ(state(), "running") << world_.log;
  EXPECT_THAT(world_.log, HasSubstr("got no answer in time, but users did"));
  world_.processes.answering.clear();
  world_.pass(5'000);
  EXPECT_THAT(world_.log, HasSubstr("3 health checks in a row failed"));
}

TEST_F(Health, is_doubted_in_the_end_though_a_connection_shows_life) {
  begin_and_be_busy();
  const int before = world_.probe.asked;
  while (state() == "running") world_.pass(10);
  EXPECT_THAT(world_.log, HasSubstr("3 health checks in a row failed"));
  EXPECT_EQ(world_.probe.asked - before, 10 + 3);
}

TEST_F(Health, is_trusted_anew_after_a_good_answer) {
  begin_and_be_busy();
  for (int round = 0; round < 5; ++round) {
    const int before = world_.probe.asked;
    while (world_.probe.asked < before + 8) world_.pass(10);
    world_.settle();
    world_.probe.sick_paths.clear();
    while (world_.probe.asked < before + 9) world_.pass(10);
    world_.settle();
    world_.probe.sick_paths = {"/health"};
  }
  EXPECT_EQ(state(), "running") << world_.log;
}

TEST_F(Health, is_doubted_at_once_in_probation) {
  std::string trouble;
  begin_and_be_busy([&] { service_->watch([&](const std::string& cause) { trouble = cause; }); });
  world_.pass(5'000);
  EXPECT_THAT(trouble, HasSubstr("3 health checks in a row failed"));
}

TEST_F(Health, is_bad_after_bad_answers_whoever_else_is_answered) {
  begin(world_.deployment(1));
  world_.ready(world_.newest());
  world_.probe.sick_paths = {"/health"};
  world_.processes.answering = {world_.newest()};
  world_.pass(5'000);
  EXPECT_THAT(world_.log, HasSubstr("3 health checks in a row failed"));
}

TEST_F(Health, of_one_that_is_not_ready_any_more_is_only_said) {
  begin(asked_for_all());
  world_.pass(100);
  ASSERT_EQ(state(), "running");
  world_.probe.sick_paths = {"/ready"};
  world_.pass(3'000);
  EXPECT_EQ(state(), "not ready");
  EXPECT_EQ(service_->status().status_text,
            "not ready: 3 readiness checks in a row failed: GET /ready answered 503");
  world_.pass(60'000);
  EXPECT_EQ(starts(), 1U) << "it was restarted";
  world_.probe.sick_paths.clear();
  world_.pass(1'000);
  EXPECT_EQ(state(), "running");
}

TEST_F(Health, of_one_that_is_not_ready_any_more_is_told_to_a_swap_that_watches_it) {
  begin(asked_for_all());
  world_.pass(100);
  std::string cause;
  service_->watch([&](const std::string& what) { cause = what; });
  world_.probe.sick_paths = {"/ready"};
  world_.pass(3'000);
  EXPECT_THAT(cause, HasSubstr("not ready: 3 readiness checks in a row failed"));
}

TEST_F(Health, of_one_that_answers_now_so_now_so_is_not_good) {
  begin_and_be_up();
  for (int i = 0; i < 13; ++i) {
    world_.probe.sick_paths.clear();
    if (i % 2 == 0) world_.probe.sick_paths.insert("/health");
    world_.pass(1'000);
  }
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(service_->status().status_text, HasSubstr("6 of the last 12 health checks failed"));
}

TEST_F(Health, is_asked_for_a_little_later_at_random) {
  world_.random = 1;
  begin_and_be_up();
  const int before = world_.probe.asked;
  world_.pass(1'099);
  EXPECT_EQ(world_.probe.asked, before);
  world_.pass(1);
  EXPECT_EQ(world_.probe.asked, before + 1);
}

TEST_F(Health, is_nobodys_business_while_it_reloads) {
  begin_and_be_up();
  says("RELOADING=1");
  EXPECT_EQ(state(), "reloading");
  world_.probe.sick_paths = {"/health"};
  world_.pass(9'000);
  EXPECT_EQ(starts(), 1U) << world_.log;
  world_.probe.sick_paths.clear();
  says("READY=1");
  EXPECT_EQ(state(), "running");
  world_.pass(60'000);
  EXPECT_EQ(starts(), 1U) << world_.log;
}

TEST_F(Health, is_not_good_when_it_never_ends_to_reload) {
  begin_and_be_up();
  says("RELOADING=1");
  world_.pass(5'000);
  says("EXTEND_TIMEOUT_USEC=20000000");
  world_.pass(19'999);
  EXPECT_EQ(starts(), 1U);
  world_.pass(1);
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(service_->status().status_text, HasSubstr("RELOADING=1, but no READY=1 within 20.0 s"));
}

TEST_F(Health, is_not_asked_for_when_it_stops_by_itself_and_it_has_to_get_done) {
  begin_and_be_up();
  const pid_t first = world_.newest();
  says("STOPPING=1");
  EXPECT_EQ(state(), "stopping");
  world_.probe.sick_paths = {"/health"};
  world_.pass(9'999);
  EXPECT_THAT(world_.processes.signals, IsEmpty());
  world_.pass(1);
  EXPECT_THAT(world_.processes.signals, ElementsAre(Pair(first, SIGKILL)));
  EXPECT_EQ(starts(), 2U);
}

TEST_F(Health, is_drained_all_the_same_when_it_stops_by_itself) {
  begin_and_be_up();
  const pid_t first = world_.newest();
  says("STOPPING=1");
  service_->stop([] {});
  EXPECT_THAT(world_.processes.signals, ElementsAre(Pair(first, SIGTERM)));
}

TEST_F(Health, is_bad_when_it_says_so_itself) {
  begin_and_be_up();
  says("WATCHDOG=trigger");
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(service_->status().status_text, HasSubstr("it says so itself"));
}

TEST_F(Health, of_a_watchdog_may_be_told_more_seldom) {
  begin_and_be_up(with_watchdog());
  says("WATCHDOG_USEC=5000000");
  world_.pass(5'100);
  EXPECT_EQ(starts(), 1U);
  world_.pass(100);
  EXPECT_EQ(starts(), 2U);
}

TEST_F(Health, is_that_of_the_main_process) {
  begin_and_be_up();
  const pid_t first = world_.newest();
  const pid_t main = world_.processes.fork(first);
  says(first, "MAINPID=" + std::to_string(main));
  EXPECT_EQ(service_->status().pid, main);
  world_.processes.end(first, {.known = true, .code = 0, .signal = 0});
  world_.settle();
  EXPECT_EQ(starts(), 1U) << "the first process means nothing any more";
  says(main, "STATUS=well");
  EXPECT_EQ(service_->status().status_text, "well");
  world_.restart();
  world_.supervisor->resume();
  service_ = world_.supervisor->find("web");
  EXPECT_EQ(service_->status().pid, main);
  world_.processes.end(main);
  world_.settle();
  EXPECT_EQ(starts(), 2U);
}

TEST_F(Health, is_never_that_of_somebody_elses_process) {
  begin_and_be_up(world_.deployment(1, "api"));
  const pid_t other = world_.newest();
  begin_and_be_up();
  const pid_t own = world_.newest();
  says(own, "MAINPID=" + std::to_string(other));
  EXPECT_EQ(service_->status().pid, own);
}

}  // namespace
}  // namespace sb::supervise
