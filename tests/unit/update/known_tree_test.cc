// When an update has to build a tree, and when history answers for it.
#include "update/known_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/clock.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::update {
namespace {

using Answer = KnownTree::Answer;
using history::VersionState;

class KnownTrees : public testing::Test {
 protected:
  void add_version(std::int64_t cycle, const std::string& tree, VersionState state) {
    history::Version version;
    version.project = "hello";
    version.cycle = cycle;
    version.tree = tree;
    version.outputs = {
        {.path = "bin/hello", .object = {.xxh3 = std::string(32, 'a'), .size = 1}, .sha256 = "s"}};
    ASSERT_GOOD(past_.add_version(version));
    ASSERT_GOOD(past_.set_version_state("hello", static_cast<int>(cycle), state, "the reason"));
  }
  void make_live(const std::string& version) {
    std::filesystem::create_directories(home_.project("hello"));
    ASSERT_GOOD(os::RealFileSystem().point_durably(home_.pointer("hello"), "versions/" + version));
  }
  Answer answer(const std::string& tree, std::int64_t cycle = 0) {
    const Result<KnownTree> known = look_up_tree(home_, past_, "hello", tree, cycle);
    EXPECT_TRUE(known.has_value());
    return known ? known->answer : Answer::build;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  os::Home home_ = os::Home::at(folder_.path() / "home").value();
  os::SystemClock clock_;
  history::History past_ = history::History::open(home_.database(), clock_).value();
};

TEST_F(KnownTrees, of_the_live_version_need_nothing) {
  add_version(1, "red", VersionState::known_good);
  add_version(2, "red", VersionState::rejected);
  make_live("v1");
  EXPECT_EQ(answer("red"), Answer::live) << "whatever became of another version of the same tree";
}

TEST_F(KnownTrees, that_were_good_before_are_swapped_in) {
  add_version(1, "red", VersionState::known_good);
  add_version(2, "green", VersionState::known_good);
  make_live("v2");
  EXPECT_EQ(answer("red"), Answer::swap_in);
}

TEST_F(KnownTrees, without_a_verdict_are_built) {
  add_version(1, "red", VersionState::candidate);
  EXPECT_EQ(answer("red"), Answer::build) << "its swap failed, or its worker died";
  EXPECT_EQ(answer("never seen"), Answer::build);
}

TEST_F(KnownTrees, whose_files_are_gone_are_built) {
  add_version(1, "red", VersionState::known_good);
  ASSERT_GOOD(past_.drop_outputs("hello", 1));
  EXPECT_EQ(answer("red"), Answer::build);
}

TEST_F(KnownTrees, that_were_rejected_or_rolled_back_are_refused_with_the_reason) {
  add_version(1, "red", VersionState::rejected);
  add_version(2, "green", VersionState::rolled_back);
  EXPECT_EQ(answer("red"), Answer::refuse);
  EXPECT_EQ(answer("green"), Answer::refuse);
  ASSERT_OK(const KnownTree known, look_up_tree(home_, past_, "hello", "green"));
  EXPECT_EQ(refusal_of(*known.version).what, "this tree is v2, which was rolled_back: the reason");
}

TEST_F(KnownTrees, are_no_answer_to_the_cycle_that_made_them) {
  add_version(1, "red", VersionState::rejected);
  EXPECT_EQ(answer("red", 1), Answer::build);
  EXPECT_EQ(answer("red", 2), Answer::refuse);
}

}  // namespace
}  // namespace sb::update
