// What gc may remove: never what is live, what a rollback would go to, or what is new.
#include "tool/selfbuild/garbage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"

namespace sb::tool {
namespace {

using history::Version;
using history::VersionState;
using testing::ElementsAre;
using testing::IsEmpty;

// v1 … vN, newest first, all with one file; the given ones have been in service.
std::vector<Version> versions(int count, const std::vector<int>& known_good) {
  std::vector<Version> list;
  for (int number = count; number > 0; --number) {
    Version version;
    version.project = "hello";
    version.number = number;
    version.cycle = number * 10;
    version.outputs.push_back(
        {.path = "hello", .object = {.xxh3 = "", .size = 1}, .sha256 = "", .mode = 0755});
    if (std::ranges::find(known_good, number) != known_good.end()) version.state = VersionState::known_good;
    list.push_back(std::move(version));
  }
  return list;
}

std::vector<int> numbers(const std::vector<Version>& list) {
  std::vector<int> result;
  for (const Version& version : list) result.push_back(version.number);
  return result;
}

TEST(Garbage, keeps_the_newest_and_removes_the_rest) {
  EXPECT_THAT(numbers(old_versions(versions(5, {}), std::nullopt, std::nullopt, 3)), ElementsAre(2, 1));
  EXPECT_THAT(old_versions(versions(3, {}), std::nullopt, std::nullopt, 3), IsEmpty());
}

TEST(Garbage, keeps_the_live_version_however_old_it_is) {
  EXPECT_THAT(numbers(old_versions(versions(6, {1}), 1, std::nullopt, 2)), ElementsAre(4, 3, 2));
}

TEST(Garbage, keeps_the_known_good_version_that_a_rollback_goes_to) {
  EXPECT_THAT(numbers(old_versions(versions(8, {1, 2, 4, 8}), 8, std::nullopt, 1)),
              ElementsAre(7, 6, 5, 3, 2, 1));
}

TEST(Garbage, keeps_known_good_versions_on_both_sides_after_a_rollback) {
  EXPECT_THAT(numbers(old_versions(versions(9, {1, 2, 4, 6}), 4, std::nullopt, 1)),
              ElementsAre(8, 7, 5, 3, 1));
}

TEST(Garbage, keeps_the_version_that_the_live_one_replaced) {
  // v1 → v5 → back to v1 → v4: a roll-back goes to v1, whatever was good in between.
  EXPECT_THAT(numbers(old_versions(versions(6, {1, 3, 4, 5}), 4, 1, 1)), ElementsAre(2));
}

TEST(Garbage, leaves_versions_alone_that_have_no_files_any_more) {
  std::vector<Version> list = versions(4, {});
  list[3].outputs.clear();
  EXPECT_THAT(numbers(old_versions(list, std::nullopt, std::nullopt, 2)), ElementsAre(2));
}

TEST(Garbage, keeps_the_logs_of_new_cycles_and_of_kept_versions) {
  const std::vector<Version> all = versions(3, {});
  const std::vector<Version> old = old_versions(all, 1, std::nullopt, 1);
  EXPECT_THAT(numbers(old), ElementsAre(2));
  std::vector<history::Cycle> cycles;
  for (const std::int64_t id : {32, 31, 30, 20, 15, 10}) {
    history::Cycle cycle;
    cycle.id = id;
    cycle.completed_ms = 1;
    cycles.push_back(cycle);
  }
  cycles[4].completed_ms.reset();  // still open: gc would not have come here, but never its log
  std::vector<std::int64_t> going;
  for (const history::Cycle& cycle : old_cycles(cycles, all, old, 2)) going.push_back(cycle.id);
  EXPECT_THAT(going, ElementsAre(20));
}

TEST(Garbage, finds_what_crashes_left_but_not_the_damaged_folder_of_the_live_version) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  for (const char* name : {"v1", "v2", ".v3.123", "v1.damaged.7", "v2.damaged.8"}) {
    sb::tests::write(folder.path() / name / "file", "12345");
  }
  EXPECT_THAT(leftovers(folder.path(), versions(2, {}), 2),
              ElementsAre(folder.path() / ".v3.123", folder.path() / "v1.damaged.7"));
  EXPECT_THAT(leftovers(folder.path() / "none", versions(2, {}), 2), IsEmpty());
}

TEST(Garbage, finds_the_folder_of_a_version_that_a_crash_kept_after_history_had_dropped_its_files) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  for (const char* name : {"v1", "v2", "v3"}) sb::tests::write(folder.path() / name / "file", "12345");
  std::vector<Version> list = versions(3, {});
  list[1].outputs.clear();  // v2
  list[2].outputs.clear();  // v1
  EXPECT_THAT(leftovers(folder.path(), list, 1), ElementsAre(folder.path() / "v2"))
      << "but never what is live";
}

TEST(Garbage, counts_bytes_without_following_symlinks) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  sb::tests::write(folder.path() / "outside", std::string(1000, 'x'));
  sb::tests::write(folder.path() / "in" / "deep" / "file", "12345");
  std::filesystem::create_symlink(folder.path() / "outside", folder.path() / "in" / "link");
  EXPECT_EQ(bytes_below(folder.path() / "in"), 5U);
  EXPECT_EQ(bytes_below(folder.path() / "none"), 0U);
}

}  // namespace
}  // namespace sb::tool
