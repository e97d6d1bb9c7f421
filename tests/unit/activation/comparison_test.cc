// `compare`: a version on probation beside the one before it.
#include "unit/activation/promotion_fixture.h"

namespace sb::activation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace sb::activation
