// A version's files against what history says of them.
#include "activation/version_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::activation {
namespace {

class VersionCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    version_.number = 2;
    for (const char* path : {"bin/web", "share/page"}) {
      tests::write(folder_.path() / path, path);
      version_.outputs.push_back({.path = path, .object = {}, .sha256 = sha256_hex(path)});
    }
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
  history::Version version_;
};

TEST_F(VersionCheck, finds_the_files_that_were_built) {
  EXPECT_TRUE(check_version(version_, folder_.path()).has_value());
}

TEST_F(VersionCheck, names_the_file_that_is_another_one) {
  tests::write(folder_.path() / "share/page", "defaced");
  const Status checked = check_version(version_, folder_.path());
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(checked.error().what, "share/page of v2 is not the file that was built and tested");
  EXPECT_EQ(checked.error().expected, sha256_hex("share/page"));
  EXPECT_EQ(checked.error().found, sha256_hex("defaced"));
}

TEST_F(VersionCheck, misses_a_file_that_has_gone) {
  std::filesystem::remove(folder_.path() / "bin/web");
  EXPECT_FALSE(check_version(version_, folder_.path()).has_value());
}

TEST_F(VersionCheck, follows_no_link_to_a_file_of_somebody_else) {
  std::filesystem::rename(folder_.path() / "bin/web", folder_.path() / "other");
  std::filesystem::create_symlink("../other", folder_.path() / "bin/web");
  EXPECT_FALSE(check_version(version_, folder_.path()).has_value());
}

}  // namespace
}  // namespace sb::activation
