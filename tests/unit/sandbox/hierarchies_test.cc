// Reading where control groups lie: hosts of all kinds, as text.
#include "sandbox/hierarchies.h"

#include <gtest/gtest.h>

#include "sandbox/envelope.h"

namespace sb::sandbox::tests {
namespace {

TEST(Hierarchies, finds_the_own_group_of_a_version_2_host) {
  const auto found =
      parse_hierarchies("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
                        "0::/user.slice/user-1000.slice/session-2.scope\n");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].version, 2);
  EXPECT_EQ(found[0].mount, "/sys/fs/cgroup");
  EXPECT_EQ(found[0].own, "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope");
}

TEST(Hierarchies, finds_version_1_controllers_beside_a_version_2_mount) {
  const auto found = parse_hierarchies(
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "4:memory:/job/17\n2:cpu,cpuacct:/\n0::/\n");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].own, "/sys/fs/cgroup/memory/job/17");
  EXPECT_EQ(found[1].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_EQ(found[1].own, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(found[2].own, "/sys/fs/cgroup/unified");
}

TEST(Hierarchies, maps_a_group_into_a_container_that_sees_only_its_part) {
  const auto inside =
      parse_hierarchies("35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                        "4:memory:/docker/abc/sub\n");
  ASSERT_EQ(inside.size(), 1U);
  EXPECT_EQ(inside[0].own, "/sys/fs/cgroup/memory/sub");
  const auto outside =
      parse_hierarchies("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/../../elsewhere\n");
  ASSERT_EQ(outside.size(), 1U);
  EXPECT_EQ(outside[0].own, "/sys/fs/cgroup");
}

TEST(Hierarchies, reads_blanks_in_mount_points_and_survives_nonsense) {
  const auto found = parse_hierarchies("30 23 0:26 / /odd\\040place rw - cgroup2 cgroup2 rw\n", "0::/\n");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].own, "/odd place");
  EXPECT_TRUE(parse_hierarchies("", "").empty());
  EXPECT_TRUE(parse_hierarchies("1 2 - cgroup\n - \nx - cgroup2 y\n", ":::\n0\n").empty());
}

TEST(GrantLine, groups_by_how_strict_a_limit_is) {
  const Grant grant{{"memory", Level::enforced, "cgroup v1 memory.limit_in_bytes", "2.0 GiB"},
                    {"processes", Level::advisory, "RLIMIT_NPROC of the user", "512"},
                    {"wall time", Level::enforced, "init and caller", "10.0 s"},
                    {"disk", Level::unavailable, "", ""}};
  EXPECT_EQ(to_line(grant),
            "memory 2.0 GiB (cgroup v1) · wall time 10.0 s (init and caller); "
            "advisory: processes 512 (RLIMIT_NPROC of the user); unavailable: disk");
  EXPECT_EQ(to_line({}), "");
}

}  // namespace
}  // namespace sb::sandbox::tests
