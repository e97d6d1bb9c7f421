// selfbuild nightly: quiet when there is nothing new, one result per commit, a pause after failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/installation.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;

class Nightly : public testing::Test {
 protected:
  void SetUp() override {
    host_.make_tiny_project();
    const Finished first = host_.selfbuild({"nightly"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("tiny"), "v1");
  }
  void break_the_tests() {
    host_.edit("tiny.sh", "exec sleep", "if exec sleep");
    host_.commit("tiny: broken");
  }
  tests::Installation host_;
};

TEST_F(Nightly, without_a_new_commit_does_nothing) {
  const Finished again = host_.selfbuild({"nightly"});
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.err, HasSubstr("nothing new on main"));
}

TEST_F(Nightly, takes_a_new_commit_into_service) {
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  EXPECT_EQ(host_.selfbuild({"nightly"}).code, 0);
  EXPECT_EQ(host_.live("tiny"), "v2");
}

TEST_F(Nightly, never_makes_two_results_for_one_commit) {
  break_the_tests();
  EXPECT_EQ(host_.selfbuild({"nightly"}).code, 1);
  const Finished again = host_.selfbuild({"nightly", "--now"});
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.err, HasSubstr("nothing new on main"));
}

TEST_F(Nightly, waits_after_a_failure_unless_told_not_to) {
  break_the_tests();
  EXPECT_EQ(host_.selfbuild({"nightly"}).code, 1);
  host_.edit("tiny.sh", "if exec sleep", "exec sleep");
  host_.edit("tiny.sh", "edition 1", "edition 3");
  host_.commit("tiny: mended");
  const Finished waiting = host_.selfbuild({"nightly"});
  EXPECT_EQ(waiting.code, 0) << waiting.all();
  EXPECT_THAT(waiting.err, HasSubstr("after 1 failure in a row"));
  EXPECT_EQ(host_.live("tiny"), "v1");
  EXPECT_EQ(host_.selfbuild({"nightly", "--now"}).code, 0);
  EXPECT_EQ(host_.live("tiny"), "v2");
}

}  // namespace
}  // namespace sb
