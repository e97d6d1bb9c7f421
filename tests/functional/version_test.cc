// promote, rollback, and what history keeps of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;

class Versions : public testing::Test {
 protected:
  void SetUp() override {
    host_.make_tiny_project();
    ASSERT_EQ(host_.selfbuild({"update"}).code, 0);
    const auto patch = host_.patch("tiny.sh", "edition 1", "edition 2");
    ASSERT_EQ(host_.selfbuild({"update", "--patch", patch.string()}).code, 0);
    ASSERT_EQ(host_.live("tiny"), "v2");
  }
  tests::Installation host_;
};

TEST_F(Versions, rollback_goes_to_the_version_before_and_promote_forward_again) {
  const Finished back = host_.selfbuild({"rollback"});
  EXPECT_EQ(back.code, 0) << back.all();
  EXPECT_EQ(host_.live("tiny"), "v1");
  const Finished forward = host_.selfbuild({"promote", "v2"});
  EXPECT_EQ(forward.code, 0) << forward.all();
  EXPECT_EQ(host_.live("tiny"), "v2");
}

TEST_F(Versions, promoting_what_is_live_changes_nothing) {
  const Finished again = host_.selfbuild({"promote", "v2"});
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.out, HasSubstr("v2 is live already"));
}

TEST_F(Versions, an_unknown_version_names_the_newest) {
  const Finished unknown = host_.selfbuild({"rollback", "v9"});
  EXPECT_EQ(unknown.code, 1) << unknown.all();
  EXPECT_THAT(unknown.err, HasSubstr("v2"));
}

TEST_F(Versions, rollback_repairs_a_damaged_version_folder_from_the_store) {
  tests::write(host_.home().version("tiny", 1) / "bin/tiny", "damaged");
  const Finished back = host_.selfbuild({"rollback", "v1"});
  EXPECT_EQ(back.code, 0) << back.all();
  EXPECT_THAT(tests::read(host_.home().pointer("tiny") / "bin/tiny"), HasSubstr("edition 1"));
}

TEST_F(Versions, history_shows_every_attempt_newest_first) {
  const auto broken = host_.patch("tiny.sh", "exec sleep", "if exec sleep");
  ASSERT_EQ(host_.selfbuild({"update", "--patch", broken.string()}).code, 1);
  const Finished history = host_.selfbuild({"history", "--json"});
  ASSERT_OK(const Json value, parse_json(history.out));
  const Json& cycles = value.at("cycles");
  ASSERT_EQ(cycles.size(), 3U);
  EXPECT_EQ(cycles[0].at("status"), "failed");
  EXPECT_THAT(cycles[0].dump(), HasSubstr("script_parses"));
  EXPECT_EQ(cycles[2].at("status"), "completed");
}

}  // namespace
}  // namespace sb
