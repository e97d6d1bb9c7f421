#include "update/request.h"

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb::update {
namespace {

TEST(Request, survives_the_journal_with_and_without_a_patch) {
  Request request{.project = "hello",
                  .repository = "/srv/hello",
                  .commit = std::string(40, 'a'),
                  .patch = {},
                  .patch_name = "",
                  .title = "Say \"hi\"\nand more",
                  .jobs = 3,
                  .rollout = R"({"bake_ms":100,"canary":[5]})"};
  ASSERT_OK(const Request plain, request_from_json(to_json_text(request)));
  EXPECT_EQ(plain.project, "hello");
  EXPECT_EQ(plain.title, request.title);
  EXPECT_EQ(plain.jobs, 3);
  EXPECT_EQ(plain.rollout, request.rollout);
  EXPECT_FALSE(plain.patch);

  request.patch = artifacts::ObjectId{.xxh3 = std::string(32, 'b'), .size = 7};
  request.patch_name = "fix.patch";
  ASSERT_OK(const Request patched, request_from_json(to_json_text(request)));
  EXPECT_EQ(patched.patch, request.patch);
  EXPECT_EQ(patched.patch_name, "fix.patch");
}

TEST(Request, of_an_older_selfbuild_goes_into_service_at_once) {
  ASSERT_OK(const Request old, request_from_json(R"({"project":"p","repository":"/r","commit":"c"})"));
  EXPECT_EQ(old.rollout, "{}");
}

TEST(Request, that_lacks_its_commit_is_an_error) {
  EXPECT_ERROR(ErrorKind::usage, request_from_json(R"({"project":"p","repository":"/r"})"));
  EXPECT_ERROR(ErrorKind::usage, request_from_json("not JSON"));
}

}  // namespace
}  // namespace sb::update
