// A promotion step by step: proofs before any user, canary, bake; what ends it early; who holds it; its
// receipt.
#include <nlohmann/json.hpp>

#include "unit/activation/activation_fixture.h"

namespace sb::activation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Promotion : public Activation {
 protected:
  Promotion() : Activation(/*steers=*/true) {}
  void SetUp() override { keep_first_version(); }

  [[nodiscard]] Request careful(std::vector<int> canary, int bake_ms = 0) {
    Request careful = request(2);
    careful.rollout.canary = std::move(canary);
    careful.rollout.bake = std::chrono::milliseconds(bake_ms);
    return careful;
  }
  // v2 is up, and its proofs are given.
  void start(const Request& wanted) {
    begin(wanted);
    all_ready();
    world_.pass(40);
  }
  [[nodiscard]] Json detail_of(history::Step step) const {
    Json detail;
    const std::vector<history::JournalRecord> journal = history_->journal(cycle_).value();
    for (const history::JournalRecord& record : journal) {
      if (record.step == step) detail = parse_json(record.detail).value_or(Json());
    }
    return detail;
  }
  [[nodiscard]] ActivationCycle& running_one() { return **activator_->in_progress(); }
  // What an automatic rollback needs to know: v1 was good.
  void remember_versions(history::VersionState first = history::VersionState::known_good) {
    for (int number = 1; number <= 2; ++number) {
      history::Version version;
      version.project = "p";
      version.services_json = "[]";
      ASSERT_TRUE(history_->add_version(version).has_value());
    }
    ASSERT_GOOD(history_->set_version_state("p", 1, first, "as the test says"));
  }
};

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

// A service whose manifest says `compare`.
class ProbationCompared : public Promotion {
 protected:
  [[nodiscard]] Request compared(supervise::Compare compare) {
    Request wanted = request(2);
    for (supervise::ServiceSpec& spec : wanted.services) spec.compare = compare;
    return wanted;
  }
  // v2 serves, and its probation has just begun; v1 was looked at before.
  void bring_to_probation(const Request& wanted) {
    begin(wanted);
    world_.pass(2'000);  // the questions to v1
    all_ready();
    world_.pass(200);
    ASSERT_EQ(last_step(), history::Step::verifying) << world_.log;
  }
  void goes_back(const std::string& why) {
    ASSERT_EQ(last_step(), history::Step::rolling_back) << world_.log;
    all_ready();
    world_.pass(100);
    EXPECT_EQ(outcome_.outcome, "rolled_back");
    EXPECT_THAT(outcome_.cause, HasSubstr(why));
    EXPECT_EQ(pointer(), "versions/v1");
  }
  static constexpr std::uint64_t kMiB = 1U << 20U;
};

TEST_F(ProbationCompared, goes_back_from_one_that_answers_more_slowly) {
  remember_versions();
  world_.probe.slowness[world_.folder(2)] = std::chrono::milliseconds(30);
  bring_to_probation(compared({.latency = true}));
  world_.pass(1'000);
  EXPECT_EQ(last_step(), history::Step::verifying) << "it warms up";
  world_.pass(4'000);
  goes_back("service web: median 30.0 ms, of the version before 1.0 ms");
  const Json compared = detail_of(history::Step::rolled_back)["receipt"]["compared"];
  EXPECT_EQ(compared[0]["service"], "web") << compared.dump();
}

TEST_F(ProbationCompared, goes_back_from_one_that_takes_much_more_memory_for_a_while) {
  remember_versions();
  world_.processes.resident[running(1).front()] = 50 * kMiB;
  bring_to_probation(compared({.memory = true}));
  std::uint64_t& resident = world_.processes.resident[running(2).front()];
  world_.pass(1'000);
  resident = 300 * kMiB;
  world_.pass(750);
  resident = 60 * kMiB;  // it was for a moment only
  world_.pass(300);
  resident = 300 * kMiB;
  world_.pass(750);
  EXPECT_EQ(last_step(), history::Step::verifying);
  world_.pass(500);
  goes_back("300.0 MiB of memory, of the version before 50.0 MiB");
}

TEST_F(ProbationCompared, keeps_one_that_is_worse_in_what_is_not_compared) {
  remember_versions();
  world_.probe.slowness[world_.folder(2)] = std::chrono::milliseconds(30);
  world_.processes.resident[running(1).front()] = kMiB;
  bring_to_probation(compared({.errors = true}));
  world_.processes.resident[running(2).front()] = 1024 * kMiB;
  world_.pass(10'000);
  EXPECT_EQ(outcome_.outcome, "kept");
  const Json compared = detail_of(history::Step::kept)["receipt"]["compared"][0];
  EXPECT_GE(compared["before"]["served"], 50) << compared.dump();
  EXPECT_GE(compared["after"]["served"], 20) << compared.dump();
}

TEST_F(ProbationCompared, does_not_wait_for_ever_for_a_version_before_that_does_not_answer) {
  remember_versions();
  world_.probe.cannot_ask = true;
  begin(compared({.errors = true}));
  world_.pass(4'000);
  EXPECT_THAT(running(2), IsEmpty());
  world_.pass(2'000);
  EXPECT_THAT(running(2), SizeIs(1));
}

TEST_F(ProbationCompared, is_for_versions_that_are_new_beside_one_that_was_good) {
  remember_versions(history::VersionState::rejected);
  begin(compared({.errors = true}));
  EXPECT_THAT(running(2), SizeIs(1)) << "nobody asked v1 first";
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

// v1 and v2 were in service, v3 turns ill there.
class WayBack : public Promotion {
 protected:
  void bring_up_third(history::VersionState second) {
    for (int number = 1; number <= 3; ++number) {
      history::Version version;
      version.project = "p";
      version.services_json = dump_json(Json::array({supervise::to_json(this->version(number).spec)}));
      version.outputs.push_back({.path = "web", .object = {}, .sha256 = std::string(64, 'a')});
      ASSERT_TRUE(history_->add_version(version).has_value());
      std::filesystem::create_directories(world_.home.version("p", number));
    }
    start(request(2));
    world_.pass(20'000);
    ASSERT_EQ(outcome_.outcome, "kept") << world_.log;
    ASSERT_GOOD(history_->set_version_state("p", 1, history::VersionState::known_good, ""));
    ASSERT_GOOD(history_->set_version_state("p", 2, second, "as the test says"));
    start(request(3));
    world_.pass(100);
    ASSERT_EQ(last_step(), history::Step::verifying) << world_.log;
    world_.probe.sick.insert(world_.folder(3));
    world_.pass(1'000);
    for (int i = 0; i < 3; ++i) {
      all_ready();
      world_.pass(1'000);
    }
  }
};

TEST_F(WayBack, leads_past_a_version_that_was_rejected) {
  bring_up_third(history::VersionState::rejected);
  EXPECT_EQ(outcome_.outcome, "rolled_back") << world_.log;
  EXPECT_THAT(outcome_.cause, HasSubstr("; back to v1, since v2 is none to go back to"));
  EXPECT_EQ(pointer(), "versions/v1");
  EXPECT_EQ(world_.status().version, 1);
}

TEST_F(WayBack, leads_past_a_version_whose_files_are_damaged) {
  check_version_ = [this](const history::Version& version, const std::filesystem::path&,
                          const std::function<void(Status)>& answer) {
    const bool damaged = version.number == 2 && last_step() == history::Step::rolling_back;
    answer(damaged ? fail(ErrorKind::corrupt, "another file") : Status{});
  };
  open();
  bring_up_third(history::VersionState::known_good);
  EXPECT_EQ(pointer(), "versions/v1") << world_.log;
  EXPECT_EQ(world_.status().version, 1);
  EXPECT_THAT(world_.log, HasSubstr("v2 of p is no way back: another file"));
}

TEST_F(WayBack, is_the_version_before_when_that_was_good) {
  bring_up_third(history::VersionState::known_good);
  EXPECT_EQ(outcome_.outcome, "rolled_back") << world_.log;
  EXPECT_EQ(pointer(), "versions/v2");
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
