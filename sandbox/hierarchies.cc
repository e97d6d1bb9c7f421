#include "sandbox/hierarchies.h"

#include <algorithm>
#include <map>

#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::sandbox {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// mountinfo writes blanks and backslashes of a path as three octal digits.
std::string unescape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The folder of group `path` in a mount whose root shows group `root`. A container may see only a part of the
// tree, and a group outside of it; then the best we can name is the mount itself.
std::string folder_of(const std::string& mount, const std::string& root, const std::string& path) {
  if (path.find("/..") != std::string::npos) return mount;
  if (root == "/") return path == "/" ? mount : mount + path;
  if (path == root) return mount;
  if (path.starts_with(root + "/")) return mount + path.substr(root.size());
  return mount;
}

bool is_control_group(const Hierarchy& hierarchy) {
  struct statfs info{};
  if (::statfs(hierarchy.own.c_str(), &info) != 0) return false;
  return info.f_type == (hierarchy.version == 2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC);
}

}  // namespace

std::vector<Hierarchy> parse_hierarchies(std::string_view mountinfo, std::string_view cgroup) {
  std::map<std::string, std::string, std::less<>> group_of;  // controller, or "" for version 2
  for (const std::string_view line : split_lines(cgroup)) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    for (const std::string_view controller : split(line.substr(first + 1, second - first - 1), ',')) {
      group_of.emplace(controller, line.substr(second + 1));
    }
  }
  std::vector<Hierarchy> found;
  for (const std::string_view line : split_lines(mountinfo)) {
    // id parent device root mount options [optional…] - type source super-options
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto front = split(line.substr(0, dash), ' ');
    const auto back = split(line.substr(dash + 3), ' ');
    if (front.size() < 5 || back.size() < 3) continue;
    const std::string root = unescape(front[3]);
    const std::string mount = unescape(front[4]);
    if (back[0] == "cgroup2") {
      if (const auto it = group_of.find(""); it != group_of.end()) {
        found.push_back(
            {.version = 2, .controllers = {}, .mount = mount, .own = folder_of(mount, root, it->second)});
      }
    } else if (back[0] == "cgroup") {
      Hierarchy hierarchy{.version = 1, .controllers = {}, .mount = mount, .own = {}};
      for (const std::string_view option : split(back[2], ',')) {
        const auto it = group_of.find(option);
        if (it == group_of.end() || option.empty()) continue;
        hierarchy.controllers.emplace_back(option);
        hierarchy.own = folder_of(mount, root, it->second);
      }
      if (!hierarchy.controllers.empty()) found.push_back(std::move(hierarchy));
    }
  }
  return found;
}

std::vector<Hierarchy> own_hierarchies() {
  const std::string mountinfo = os::read_file("/proc/self/mountinfo").value_or(std::string());
  const std::string cgroup = os::read_file("/proc/self/cgroup").value_or(std::string());
  std::vector<Hierarchy> found = parse_hierarchies(mountinfo, cgroup);
  std::erase_if(found, [](const Hierarchy& hierarchy) { return !is_control_group(hierarchy); });
  return found;
}

}  // namespace sb::sandbox
