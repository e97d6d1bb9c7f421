// A promotion step by step: proofs before any user, canary, bake; what ends it early; who holds it; its
// receipt.
#include <nlohmann/json.hpp>

#include "unit/activation/promotion_fixture.h"

namespace sb::activation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(Promotion, asks_the_new_version_on_the_real_port_before_any_user_reaches_it) {
  start(request(2));
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "started", "pointed"));
  EXPECT_THAT(detail_of(history::Step::started)["proofs"].dump(), HasSubstr("web: 3 of 3 answers good"));
}

TEST_F(Promotion, fails_without_a_user_when_the_proofs_fail) {
  begin(request(2));
  for (const pid_t pid : running(2)) {
    // Ready and healthy once, then never again.
    supervise::Notification ready;
    ready.ready = true;
    world_.supervisor->notify(pid, ready);
  }
  world_.settle();
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(100);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Promotion, goes_through_the_steps_of_a_canary) {
  start(careful({5, 25}));
  EXPECT_EQ(last_step(), history::Step::canary);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 5);
  EXPECT_EQ(pointer(), "versions/v1");
  world_.pass(5'000);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 25);
  world_.pass(5'000);
  EXPECT_EQ(pointer(), "versions/v2");
  world_.pass(11'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "started", "canary", "canary", "pointed",
                                   "verifying", "kept", "done"));
  const Json receipt = detail_of(history::Step::kept)["receipt"];
  ASSERT_THAT(receipt["canary"], SizeIs(2));
  EXPECT_GE(receipt["canary"][0]["live"]["served"], 100);
  EXPECT_GE(receipt["canary"][0]["new"]["served"], 100);
}

TEST_F(Promotion, takes_a_canary_back_that_fails_more_often) {
  start(careful({5}));
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(500);
  EXPECT_EQ(outcome_.outcome, "failed") << world_.log;
  EXPECT_THAT(outcome_.cause, HasSubstr("as a canary of 5%:"));
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_EQ(detail_of(history::Step::failed)["receipt"]["canary"][0]["percent"], 5);
}

TEST_F(Promotion, takes_a_canary_back_that_is_slower) {
  world_.probe.slowness[world_.folder(2)] = std::chrono::milliseconds(9);
  start(careful({5}));
  world_.pass(5'500);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("as a canary of 5%: median 9.0 ms, of the live version 1.0 ms"));
}

TEST_F(Promotion, takes_a_canary_back_that_dies) {
  start(careful({5}));
  world_.processes.end(running(2).front());
  world_.pass(100);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("exit code 1"));
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Promotion, keeps_the_old_version_alive_while_the_new_one_bakes) {
  start(careful({}, 60'000));
  EXPECT_EQ(last_step(), history::Step::baking);
  EXPECT_EQ(pointer(), "versions/v2");
  world_.pass(59'000);
  EXPECT_THAT(running(1), SizeIs(1));
  world_.pass(2'000);
  EXPECT_THAT(running(1), IsEmpty());
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "started", "pointed", "baking", "committed",
                                   "verifying", "kept", "done"));
}

TEST_F(Promotion, goes_back_from_a_bake_without_starting_anything) {
  start(careful({}, 60'000));
  const std::size_t started = world_.processes.started.size();
  const std::vector<pid_t> old = running(1);
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(4'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back") << world_.log;
  EXPECT_EQ(world_.processes.started.size(), started);
  EXPECT_EQ(running(1), old);
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_EQ(world_.status().state, "running");
}

TEST_F(Promotion, starts_the_old_version_when_it_died_in_the_bake) {
  start(careful({}, 60'000));
  world_.processes.end(running(1).front());
  die_in_probation(2);
  world_.settle();
  all_ready();
  world_.pass(100);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Promotion, is_frozen_after_it_went_back_by_itself_until_a_person_promotes) {
  start(careful({}, 60'000));
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(4'000);
  EXPECT_EQ(world_.status().pin, "frozen");
  EXPECT_THAT(world_.status().pin_reason, HasSubstr("v2 was taken back: service web: "));
  world_.probe.sick.clear();
  begin(request(3));
  all_ready();
  world_.pass(12'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(world_.status().pin, "");
}

TEST_F(Promotion, never_goes_back_to_a_version_that_was_rejected) {
  remember_versions(history::VersionState::rejected);
  start(request(2));
  world_.pass(100);
  ASSERT_EQ(last_step(), history::Step::verifying);
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(4'000);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("v1 is no version to go back to: it is rejected (as the test says)"));
  EXPECT_EQ(pointer(), "versions/v2");
  EXPECT_THAT(running(1), IsEmpty());
  EXPECT_EQ(world_.status().pin, "frozen");
  EXPECT_EQ(world_.status().version, 2);
}

TEST_F(Promotion, does_not_go_back_a_second_time) {
  start(request(2));
  world_.pass(100);
  world_.probe.sick.insert(world_.folder(2));
  world_.probe.sick.insert(world_.folder(1));
  world_.pass(60'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(pointer(), "versions/v1");
  int rollbacks = 0;
  for (const std::string& step : steps()) rollbacks += step == "rolling_back" ? 1 : 0;
  EXPECT_EQ(rollbacks, 1);
  EXPECT_EQ(world_.status().pin, "frozen");
}

TEST_F(Promotion, is_held_by_a_pause_and_goes_on_when_resumed) {
  start(careful({5, 25}));
  ASSERT_GOOD(running_one().pause("alice"));
  world_.pass(60'000);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 5);
  ASSERT_GOOD(running_one().unpause("alice"));
  world_.pass(100);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 25);
}

TEST_F(Promotion, is_still_paused_after_the_conductor_died) {
  start(careful({5, 25}));
  ASSERT_GOOD(running_one().pause("alice"));
  const std::vector<pid_t> incoming = running(2);
  crash();
  EXPECT_TRUE(running_one().paused());
  EXPECT_EQ(running(2), incoming);
  world_.pass(60'000);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 5);
  ASSERT_GOOD(running_one().unpause("alice"));
  world_.pass(100);
  EXPECT_EQ(detail_of(history::Step::canary)["percent"], 25);
  wait();
  world_.pass(20'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_TRUE(detail_of(history::Step::kept)["receipt"]["interrupted"].get<bool>());
}

TEST_F(Promotion, takes_an_ill_version_back_even_when_it_is_paused) {
  start(careful({}, 60'000));
  ASSERT_GOOD(running_one().pause("alice"));
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(4'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
}

TEST_F(Promotion, bakes_on_when_the_conductor_died_and_can_still_go_back_at_once) {
  start(careful({}, 60'000));
  const std::vector<pid_t> old = running(1);
  crash();
  world_.pass(10'000);
  EXPECT_EQ(running(1), old);
  wait();
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(4'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(running(1), old);
}

TEST_F(Promotion, lets_the_old_version_go_at_the_end_of_the_bake_that_another_conductor_began) {
  start(careful({}, 60'000));
  crash();
  wait();
  world_.pass(75'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_THAT(running(1), IsEmpty());
}

TEST_F(Promotion, is_aborted_by_a_person_as_a_canary) {
  start(careful({5}));
  ASSERT_GOOD(running_one().abort("alice"));
  world_.pass(200);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_EQ(outcome_.cause, "aborted by alice");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_EQ(world_.status().pin, "") << "nothing was wrong with it";
}

TEST_F(Promotion, is_aborted_by_a_person_while_it_bakes) {
  remember_versions();
  start(careful({}, 60'000));
  ASSERT_GOOD(running_one().abort("alice"));
  world_.pass(200);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(history_->version("p", 2)->state, history::VersionState::candidate);
  EXPECT_EQ(world_.status().pin, "");
}

TEST_F(Promotion, ends_with_a_receipt_of_what_users_would_have_seen) {
  start(request(2));
  world_.pass(12'000);
  ASSERT_EQ(outcome_.outcome, "kept");
  const Json receipt = detail_of(history::Step::kept)["receipt"];
  EXPECT_EQ(receipt["mode"], "steered");
  EXPECT_EQ(receipt["failed"], 0);
  EXPECT_GE(receipt["before"]["served"], 1);
  EXPECT_GE(receipt["during"]["served"], 100);
  EXPECT_LE(receipt["longest_gap_ms"], 10);
  EXPECT_EQ(receipt["during"]["p99_ms"], 1.0);
}

TEST_F(Promotion, refuses_a_canary_of_what_cannot_be_steered) {
  mode_ = supervise::SwapMode::drain_first;
  history::Cycle cycle;
  cycle.project = "p";
  Request wanted = careful({5});
  wanted.cycle = history_->begin_cycle(cycle, "{}").value();
  EXPECT_ERROR(ErrorKind::conflict, activator_->begin(wanted));
}

TEST_F(Promotion, has_nothing_to_pause_when_nothing_runs) {
  EXPECT_FALSE(activator_->in_progress().has_value());
}

}  // namespace
}  // namespace sb::activation
