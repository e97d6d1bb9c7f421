// Swaps with a fake clock and fake processes: every way in which one can end, and every moment at which the
// conductor can die in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "unit/activation/activation_fixture.h"

namespace sb::activation {
namespace {

using supervise::Deployment;
using supervise::Service;
using supervise::SwapMode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(Activation, keeps_a_version_that_stays_well_through_its_probation) {
  keep_first_version();
  begin(request(2));
  EXPECT_THAT(running(1), SizeIs(1)) << "the old one must serve while the new one starts";
  EXPECT_EQ(pointer(), "versions/v1");
  all_ready();
  world_.settle();
  EXPECT_EQ(pointer(), "versions/v2");
  EXPECT_THAT(running(1), IsEmpty());
  world_.pass(9'999);
  EXPECT_EQ(outcome_.outcome, "");
  world_.pass(1);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "started", "pointed", "verifying", "kept", "done"));
  EXPECT_EQ(row().status, history::BuildStatus::completed);
  EXPECT_EQ(row().health_check_result, "healthy for 10.0 s, 10 probes");
}

TEST_F(Activation, leaves_the_done_record_of_an_update_to_its_worker) {
  begin(request(1), history::CycleKind::update);
  all_ready();
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(steps().back(), "kept");
}

TEST_F(Activation, keeps_old_version_when_new_never_gets_ready) {
  keep_first_version();
  const std::vector<pid_t> before = running(1);
  begin(request(2));
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("not ready within 10.0 s"));
  EXPECT_EQ(running(1), before);
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "failed", "done"));
  EXPECT_EQ(row().status, history::BuildStatus::failed);
  EXPECT_THAT(row().failure, HasSubstr("not ready"));
}

TEST_F(Activation, keeps_old_version_when_pointer_cannot_be_moved) {
  keep_first_version();
  const std::vector<pid_t> before = running(1);
  files_.broken = true;
  begin(request(2));
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("No space left on device"));
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(running(1), before);
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, puts_the_pointer_back_when_its_move_was_not_durable) {
  keep_first_version();
  files_.lost_fsync = true;
  begin(request(2));
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Activation, rolls_back_when_new_dies_three_times_in_probation) {
  keep_first_version();
  verify_second();
  die_in_probation(2, {.known = true, .code = 0, .signal = SIGSEGV});
  world_.settle();
  EXPECT_THAT(running(2), IsEmpty()) << "the version that died was started again";
  ASSERT_THAT(running(1), SizeIs(1));
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(outcome_.cause, "service web: it ended 3 times: killed by SIGSEGV");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_EQ(world_.status().state, "running");
  EXPECT_EQ(row().status, history::BuildStatus::rolled_back);
  EXPECT_EQ(row().rollback_reason, "service web: it ended 3 times: killed by SIGSEGV");
}

TEST_F(Activation, keeps_a_version_that_dies_twice_in_probation_and_says_so) {
  keep_first_version();
  verify_second();
  for (int i = 0; i < 2; ++i) {
    world_.processes.end(running(2).front());
    world_.settle();
    ASSERT_THAT(running(2), SizeIs(1)) << "it waits for its next start";
    world_.ready(running(2).front());
    world_.pass(100);
  }
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_THAT(row().health_check_result, HasSubstr("restarted 2 times"));
}

TEST_F(Activation, does_not_end_its_probation_while_the_new_one_starts_again) {
  keep_first_version();
  verify_second();
  world_.pass(9'999);
  world_.processes.end(running(2).front());
  world_.pass(5'000);
  EXPECT_EQ(outcome_.outcome, "");
  world_.ready(running(2).front());
  world_.pass(100);
  EXPECT_EQ(outcome_.outcome, "kept");
}

TEST_F(Activation, rolls_back_when_new_turns_unhealthy_and_serves_until_the_old_one_is_up) {
  keep_first_version();
  verify_second();
  world_.probe.sick.insert(world_.folder(2));
  world_.pass(3'000);
  EXPECT_EQ(last_step(), history::Step::rolling_back);
  EXPECT_THAT(running(2), SizeIs(1)) << "nobody serves while the old one starts";
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(outcome_.cause, HasSubstr("3 health checks in a row failed"));
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Activation, closes_the_sockets_that_only_the_refused_version_had) {
  keep_first_version();
  Request with_admin = request(2);
  with_admin.services[0].sockets.push_back({.name = "admin", .listen = "127.0.0.1:0"});
  begin(with_admin);
  all_ready();
  world_.settle();
  ASSERT_EQ(last_step(), history::Step::verifying);
  EXPECT_THAT(world_.vault.held, SizeIs(2));
  die_in_probation(2);
  world_.settle();
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(world_.vault.held, SizeIs(1));
}

TEST_F(Activation, rolls_back_when_new_dies_while_the_old_one_still_drains) {
  keep_first_version();
  world_.processes.stubborn.insert(running(1).front());
  begin(request(2));
  all_ready();
  EXPECT_EQ(last_step(), history::Step::pointed);
  die_in_probation(2);
  world_.settle();
  all_ready();
  world_.pass(20'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Activation, goes_back_only_once_and_keeps_trying_the_old_one_when_that_fails_too) {
  keep_first_version();
  verify_second();
  world_.processes.fails = [this](const os::SpawnSpec& spec) { return spec.directory == world_.folder(1); };
  die_in_probation(2);
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(outcome_.cause, HasSubstr("the old version: service web"));
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_EQ(world_.status().state, "backoff");
  world_.processes.fails = nullptr;
  world_.pass(5'000);
  EXPECT_THAT(running(1), SizeIs(1));
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, never_runs_two_of_a_service_that_drains_first) {
  mode_ = SwapMode::drain_first;
  keep_first_version();
  begin(request(2));
  EXPECT_THAT(running(1), IsEmpty());
  ASSERT_THAT(running(2), SizeIs(1));
  world_.processes.end(running(2).front());
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "") << "it has not failed before the old one is back";
  EXPECT_THAT(running(1), SizeIs(1));
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_EQ(world_.status().state, "running");
}

TEST_F(Activation, takes_the_first_version_away_again_when_it_dies_in_probation) {
  begin(request(1));
  all_ready();
  world_.settle();
  ASSERT_EQ(last_step(), history::Step::verifying);
  die_in_probation(1);
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(pointer(), "");
  EXPECT_EQ(world_.supervisor->find("web"), nullptr);
  EXPECT_THAT(world_.processes.alive, IsEmpty());
}

TEST_F(Activation, swaps_several_services_or_none) {
  keep_first_version({"web", "api"});
  const std::vector<pid_t> before = running(1);
  begin(request(2, {"web", "api"}));
  world_.ready(world_.newest());  // web of v2; api of v2 is started now
  world_.processes.end(world_.newest(), {.known = true, .code = 3, .signal = 0});
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("exit code 3"));
  EXPECT_EQ(running(1), before);
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, does_not_point_at_a_version_of_which_one_service_died_while_the_next_started) {
  keep_first_version({"web", "api"});
  begin(request(2, {"web", "api"}));
  const pid_t web = world_.newest();
  world_.ready(web);
  const pid_t api = world_.newest();
  world_.processes.end(web);
  world_.ready(api);
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_THAT(running(1), SizeIs(2));
}

TEST_F(Activation, starts_services_that_are_new_and_stops_those_that_are_gone) {
  keep_first_version({"web", "old"});
  begin(request(2, {"web", "fresh"}));
  for (int i = 0; i < 3; ++i) all_ready();
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(world_.supervisor->find("old"), nullptr);
  EXPECT_EQ(world_.status("fresh").state, "running");
  EXPECT_THAT(running(1), IsEmpty());
}

TEST_F(Activation, brings_back_a_service_that_the_bad_version_had_dropped) {
  keep_first_version({"web", "old"});
  begin(request(2));
  all_ready();
  world_.settle();
  ASSERT_EQ(last_step(), history::Step::verifying);
  die_in_probation(2);
  for (int i = 0; i < 4; ++i) {
    world_.settle();
    all_ready();
  }
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(world_.status("old").state, "running");
  EXPECT_EQ(world_.status("web").version, 1);
}

TEST_F(Activation, of_the_live_version_does_nothing_unless_its_service_is_down) {
  keep_first_version();
  const std::vector<pid_t> before = running(1);
  begin(request(1));
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(running(1), before);
  world_.supervisor->find("web")->stop([] {});
  world_.settle();
  begin(request(1));
  all_ready();
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(world_.status().state, "running");
}

TEST_F(Activation, refuses_a_second_swap_and_repeats_the_answer_to_the_first) {
  keep_first_version();
  begin(request(2));
  Request again = request(2);
  again.cycle = cycle_;
  EXPECT_TRUE(activator_->begin(again).has_value());
  history::Cycle other;
  other.project = "p";
  ASSERT_OK(const std::int64_t id, history_->begin_cycle(other, "{}"));
  Request second = request(3);
  second.cycle = id;
  EXPECT_ERROR(ErrorKind::conflict, activator_->begin(second));
  EXPECT_THAT(running(2), SizeIs(1));
}

TEST_F(Activation, refuses_a_service_of_another_project_and_a_folder_that_is_not_there) {
  keep_first_version();
  Request foreign = request(2);
  foreign.project = "q";
  EXPECT_ERROR(ErrorKind::conflict, activator_->check(foreign, "test"));
  Request missing = request(2);
  missing.directory = world_.root.path() / "none";
  EXPECT_ERROR(ErrorKind::not_found, activator_->check(missing, "test"));
}

TEST_F(Activation, tells_the_outcome_of_earlier_swaps_from_the_journal) {
  keep_first_version();
  crash();
  wait();
  EXPECT_EQ(outcome_.outcome, "kept");
  cycle_ = 77;
  wait();
  EXPECT_EQ(outcome_.outcome, "error");
}

TEST_F(Activation, has_not_ended_before_its_verdict_is_on_disk) {
  keep_first_version();
  verify_second();
  refuse_writes("INSERT ON journal WHEN NEW.step = 'kept'");
  world_.pass(15'000);
  EXPECT_EQ(outcome_.outcome, "");
  ASSERT_NE(activator_->running(), nullptr);
  EXPECT_ERROR(ErrorKind::conflict, activator_->check(request(3), "test"));  // it would be overtaken
  allow_writes();
  world_.pass(1'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(activator_->running(), nullptr);
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "started", "pointed", "verifying", "kept", "done"));
}

TEST_F(Activation, records_its_verdict_once_though_the_end_takes_several_attempts) {
  keep_first_version();
  begin(request(2));
  refuse_writes("INSERT ON journal WHEN NEW.step = 'done'");
  world_.pass(15'000);
  EXPECT_EQ(outcome_.outcome, "");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "failed"));
  allow_writes();
  world_.pass(1'000);
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(steps(), ElementsAre("planned", "swapping", "failed", "done"));
}

// -- the conductor dies
// ----------------------------------------------------------------------------------------

TEST_F(Activation, is_done_again_after_a_crash_while_the_new_one_starts) {
  keep_first_version();
  begin(request(2));
  const pid_t half_started = running(2).front();
  crash();
  wait();
  EXPECT_EQ(last_step(), history::Step::swapping);
  EXPECT_FALSE(world_.processes.alive.contains(half_started));
  EXPECT_THAT(running(2), SizeIs(1)) << "a second copy runs";
  EXPECT_THAT(running(1), SizeIs(1));
  all_ready();
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
}

TEST_F(Activation, is_given_up_after_three_crashes_while_the_new_one_starts) {
  keep_first_version();
  begin(request(2));
  crash();
  crash();
  crash();
  wait();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "failed");
  EXPECT_THAT(outcome_.cause, HasSubstr("died in every attempt"));
  EXPECT_THAT(running(2), IsEmpty());
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Activation, has_the_new_version_live_after_a_crash_while_it_takes_over) {
  keep_first_version();
  begin(request(2));
  const pid_t incoming = running(2).front();
  world_.processes.stubborn.insert(running(1).front());
  refuse_writes("UPDATE OF role ON instance WHEN NEW.role = 'draining'");
  all_ready();
  EXPECT_EQ(last_step(), history::Step::pointed);
  crash();
  allow_writes();
  wait();
  world_.pass(20'000);
  EXPECT_EQ(outcome_.outcome, "kept") << world_.log;
  EXPECT_EQ(world_.status().pid, incoming);
  EXPECT_EQ(world_.status().version, 2);
  EXPECT_THAT(running(1), IsEmpty());
}

TEST_F(Activation, records_that_the_new_version_took_over_as_soon_as_the_disk_lets_it) {
  keep_first_version();
  begin(request(2));
  const pid_t incoming = running(2).front();
  refuse_writes("UPDATE ON service");
  all_ready();
  world_.pass(2'000);
  allow_writes();
  world_.pass(20'000);
  ASSERT_EQ(outcome_.outcome, "kept");
  crash();
  EXPECT_EQ(world_.status().pid, incoming);
  EXPECT_THAT(running(1), IsEmpty());
}

TEST_F(Activation, looks_at_the_process_and_not_at_what_the_service_is_set_to) {
  keep_first_version();
  verify_second();
  world_.processes.forget_watchers();
  world_.processes.end(running(2).front());
  // As if the process of v1 had never been told to go.
  const Deployment first = version(1);
  os::SpawnSpec spec;
  spec.directory = first.directory;
  ASSERT_OK(const os::Process old, world_.processes.start(spec));
  supervise::InstanceRow row;
  row.service = "web";
  row.deployment = first;
  ASSERT_OK(const std::int64_t id, world_.table->announce(row));
  ASSERT_GOOD(world_.table->set_process(id, old.pid, old.start_ticks, 0));
  crash();
  wait();
  world_.settle();
  all_ready();
  world_.pass(20'000);
  EXPECT_EQ(outcome_.outcome, "rolled_back") << "v2 was kept although only v1 runs";
  EXPECT_EQ(running(1), std::vector{old.pid});
  EXPECT_EQ(world_.status().version, 1);
}

TEST_F(Activation, that_was_overtaken_by_a_later_one_is_not_taken_back) {
  keep_first_version();
  verify_second();
  const std::int64_t overtaken = cycle_;
  world_.pass(10'000);
  begin(request(3));
  all_ready();
  world_.pass(10'000);
  ASSERT_EQ(outcome_.outcome, "kept");
  // As if the verdict on v2 had been lost.
  ASSERT_GOOD(history_->database().execute("DELETE FROM journal WHERE cycle = " + std::to_string(overtaken) +
                                           " AND step IN ('kept', 'done')"));
  crash();
  EXPECT_EQ(pointer(), "versions/v3");
  EXPECT_EQ(world_.status().version, 3);
  EXPECT_THAT(running(3), SizeIs(1));
  cycle_ = overtaken;
  EXPECT_EQ(steps().back(), "done");
}

TEST_F(Activation, goes_on_with_its_probation_after_a_crash) {
  keep_first_version();
  verify_second();
  const std::vector<pid_t> before = running(2);
  world_.pass(4'000);
  crash();
  wait();
  EXPECT_EQ(running(2), before) << "a good version was restarted";
  world_.pass(5'999);
  EXPECT_EQ(outcome_.outcome, "");
  world_.pass(1);
  EXPECT_EQ(outcome_.outcome, "kept");
}

TEST_F(Activation, starts_a_new_probation_when_nobody_watched_the_old_one_end) {
  keep_first_version();
  verify_second();
  activator_.reset();
  world_.processes.forget_watchers();
  world_.supervisor.reset();
  world_.pass(60'000);
  crash();
  wait();
  world_.pass(9'999);
  EXPECT_EQ(outcome_.outcome, "");
  world_.pass(1);
  EXPECT_EQ(outcome_.outcome, "kept");
}

TEST_F(Activation, rolls_back_when_new_died_together_with_the_conductor) {
  keep_first_version();
  verify_second();
  world_.processes.forget_watchers();
  world_.processes.end(running(2).front());
  crash();
  wait();
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(outcome_.cause, HasSubstr("while the conductor was away"));
  EXPECT_THAT(running(1), SizeIs(1));
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, goes_on_with_its_probation_when_the_conductor_was_stopped_with_its_services) {
  keep_first_version();
  verify_second();
  world_.pass(4'000);
  stop_all();
  world_.pass(3'600'000);
  crash();
  wait();
  ASSERT_THAT(running(2), SizeIs(1)) << world_.log;
  EXPECT_THAT(running(1), IsEmpty());
  all_ready();
  world_.pass(9'999);
  EXPECT_EQ(outcome_.outcome, "");
  world_.pass(1);
  EXPECT_EQ(outcome_.outcome, "kept");
  EXPECT_EQ(world_.status().state, "running");
}

TEST_F(Activation, goes_on_when_it_was_stopped_while_the_old_one_drained) {
  keep_first_version();
  world_.processes.stubborn.insert(running(1).front());
  begin(request(2));
  all_ready();
  ASSERT_EQ(last_step(), history::Step::pointed);
  stop_all();
  crash();
  wait();
  all_ready();
  world_.pass(20'000);
  EXPECT_EQ(outcome_.outcome, "kept") << world_.log;
  EXPECT_THAT(running(2), SizeIs(1));
}

TEST_F(Activation, rolls_back_a_version_that_does_not_come_up_again_with_the_conductor) {
  keep_first_version();
  verify_second();
  stop_all();
  crash();
  wait();
  ASSERT_THAT(running(2), SizeIs(1));
  world_.processes.end(running(2).front(), {.known = true, .code = 9, .signal = 0});
  world_.settle();
  EXPECT_THAT(running(2), IsEmpty());
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(outcome_.cause, HasSubstr("it did not come up again"));
  EXPECT_THAT(outcome_.cause, HasSubstr("exit code 9"));
  EXPECT_THAT(running(1), SizeIs(1));
}

TEST_F(Activation, rolls_back_all_when_one_of_several_cannot_be_started_again_with_the_conductor) {
  keep_first_version({"web", "api"});
  begin(request(2, {"web", "api"}));
  for (int i = 0; i < 3; ++i) all_ready();
  ASSERT_EQ(last_step(), history::Step::verifying) << world_.log;
  stop_all();
  world_.processes.fails = [this](const os::SpawnSpec& spec) { return spec.directory == world_.folder(2); };
  crash();
  wait();
  for (int i = 0; i < 3; ++i) all_ready();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(running(1), SizeIs(2));
  EXPECT_EQ(world_.status("web").state, "running");
  EXPECT_EQ(world_.status("api").state, "running");
}

TEST_F(Activation, starts_nothing_any_more_when_the_conductor_stops_in_a_rollback) {
  keep_first_version();
  verify_second();
  die_in_probation(2, {.known = true, .code = 9, .signal = 0});
  stop_all();  // before the old one was started
  EXPECT_THAT(world_.processes.alive, IsEmpty());
  crash();
  wait();
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_THAT(running(1), SizeIs(1));
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, finishes_a_rollback_that_a_crash_interrupted) {
  keep_first_version();
  verify_second();
  die_in_probation(2, {.known = true, .code = 9, .signal = 0});
  world_.settle();
  ASSERT_EQ(last_step(), history::Step::rolling_back);
  crash();
  wait();
  EXPECT_THAT(running(1), SizeIs(1)) << "two copies of the old version, or none";
  all_ready();
  world_.settle();
  EXPECT_EQ(outcome_.outcome, "rolled_back");
  EXPECT_EQ(outcome_.cause, "service web: it ended 3 times: exit code 9");
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_THAT(running(2), IsEmpty());
}

TEST_F(Activation, closes_a_promote_that_was_never_begun) {
  keep_first_version();
  history::Cycle cycle;
  cycle.project = "p";
  cycle.kind = history::CycleKind::promote;
  ASSERT_OK(cycle_, history_->begin_cycle(cycle, "{}"));
  crash();
  EXPECT_THAT(steps(), ElementsAre("planned", "failed", "done"));
}

TEST_F(Activation, leaves_an_update_that_was_not_handed_over_to_its_worker) {
  history::Cycle cycle;
  cycle.project = "p";
  ASSERT_OK(cycle_, history_->begin_cycle(cycle, "{}"));
  crash();
  EXPECT_THAT(steps(), ElementsAre("planned"));
}

}  // namespace
}  // namespace sb::activation
