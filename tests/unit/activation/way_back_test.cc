// Where a version that turns ill in service goes back to.
#include "unit/activation/promotion_fixture.h"

namespace sb::activation {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace sb::activation
