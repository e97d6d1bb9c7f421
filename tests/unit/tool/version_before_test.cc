// Where `selfbuild rollback` goes without being told.
#include <gtest/gtest.h>

#include "tool/selfbuild/version_change.h"

namespace sb::tool {
namespace {

using history::BuildStatus;
using history::VersionState;

history::Cycle swap(std::optional<int> from, int to, BuildStatus status = BuildStatus::completed) {
  history::Cycle cycle;
  cycle.from_version = from;
  cycle.version = to;
  cycle.status = status;
  return cycle;
}

// v1 … vN, newest first, all good in service.
std::vector<history::Version> versions(int count) {
  std::vector<history::Version> list;
  for (int number = count; number > 0; --number) {
    history::Version version;
    version.number = number;
    version.state = VersionState::known_good;
    list.push_back(std::move(version));
  }
  return list;
}

TEST(VersionBefore, is_what_the_live_version_replaced_last) {
  EXPECT_EQ(version_before({swap(1, 4), swap(5, 1), swap(1, 5)}, versions(5), 4), 1);
  EXPECT_EQ(version_before({swap(std::nullopt, 1)}, versions(1), 1), std::nullopt);
}

TEST(VersionBefore, passes_over_cycles_that_changed_nothing) {
  const std::vector<history::Cycle> cycles{swap(2, 2), swap(3, 2, BuildStatus::rolled_back), swap(1, 2)};
  EXPECT_EQ(version_before(cycles, versions(3), 2), 1);
}

TEST(VersionBefore, was_good_in_service) {
  std::vector<history::Version> list = versions(3);
  list[1].state = VersionState::rolled_back;  // v2
  EXPECT_EQ(version_before({swap(2, 3), swap(1, 3)}, list, 3), 1);
}

}  // namespace
}  // namespace sb::tool
