// Where the control groups of this process lie: read from /proc/self/mountinfo and /proc/self/cgroup.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sb::sandbox {

struct Hierarchy {
  int version;                           // 1 or 2
  std::vector<std::string> controllers;  // version 1: what is mounted there; version 2: empty
  std::string mount;                     // where it is mounted
  std::string own;                       // folder of our own group, at or below mount
};

// From the texts of the two files; hierarchies without a mount are left out.
[[nodiscard]] std::vector<Hierarchy> parse_hierarchies(std::string_view mountinfo, std::string_view cgroup);
// Of this process, and only those whose folder really is a control group.
[[nodiscard]] std::vector<Hierarchy> own_hierarchies();

}  // namespace sb::sandbox
