// The doctor's checks, on this very host.
#include "tool/selfbuild/host_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::tool {
namespace {

using Level = Check::Level;

TEST(HostChecks, compare_versions_by_number) {
  EXPECT_TRUE(version_at_least("3.25.1", "3.25"));
  EXPECT_TRUE(version_at_least("4.0", "3.25"));
  EXPECT_TRUE(version_at_least("3.25.0-rc1", "3.25"));
  EXPECT_FALSE(version_at_least("3.9", "3.25"));
  EXPECT_FALSE(version_at_least("unknown", "3.25"));
}

TEST(HostChecks, find_the_tools_that_built_this_test) {
  for (const Check& check : check_tools())
    EXPECT_EQ(check.level, Level::ok) << check.name << ": " << check.found;
}

TEST(HostChecks, a_home_that_can_be_written_is_good_and_left_as_it_was) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  ASSERT_OK(const os::Home home, os::Home::at(folder.path()));
  for (const Check& check : check_home(home)) {
    if (check.name == "free space") continue;
    EXPECT_EQ(check.level, Level::ok) << check.name << ": " << check.found;
  }
  EXPECT_TRUE(std::filesystem::is_empty(home.state()));
}

TEST(HostChecks, say_which_limits_hold_and_how) {
  const sandbox::Envelope envelope{
      .memory_bytes = 1U << 30U, .processes = 64, .wall = std::chrono::minutes(1)};
  const std::vector<Check> checks = check_limits(envelope);
  ASSERT_GE(checks.size(), 3U);
  for (const Check& check : checks) {
    EXPECT_NE(check.level, Level::missing) << check.name;  // a weak limit stops no cycle
    EXPECT_FALSE(check.found.empty()) << check.name;
  }
}

TEST(HostChecks, a_folder_without_a_project_is_weak_and_one_without_git_is_missing) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  EXPECT_EQ(check_repository(folder.path()).level, Level::weak);
  sb::tests::write(folder.path() / "selfbuild.yaml", "");
  const Check check = check_repository(folder.path());
  EXPECT_EQ(check.level, Level::missing);
  EXPECT_THAT(check.mend, testing::HasSubstr("git -C " + folder.path().string() + " init"));
}

}  // namespace
}  // namespace sb::tool
