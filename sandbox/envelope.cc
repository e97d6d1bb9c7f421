#include "sandbox/envelope.h"

#include <fmt/format.h>

namespace sb::sandbox {
namespace {

// The grant is read on one line: of "cgroup v1 memory.limit_in_bytes" the first two words say it.
std::string_view short_mechanism(std::string_view mechanism) {
  return mechanism.starts_with("cgroup v") ? mechanism.substr(0, std::string_view("cgroup vN").size())
                                           : mechanism;
}

}  // namespace

std::string to_line(const Grant& grant) {
  std::string line;
  for (const Level level : {Level::enforced, Level::advisory, Level::unavailable}) {
    std::string part;
    for (const Enforcement& item : grant) {
      if (item.level != level) continue;
      part += part.empty() ? "" : " · ";
      part += item.resource;
      if (!item.value.empty()) part += " " + item.value;
      if (!item.mechanism.empty()) part += fmt::format(" ({})", short_mechanism(item.mechanism));
    }
    if (part.empty()) continue;
    if (!line.empty()) line += "; ";
    if (level == Level::advisory) line += "advisory: ";
    if (level == Level::unavailable) line += "unavailable: ";
    line += part;
  }
  return line;
}

std::string to_string(LimitHit hit) {
  switch (hit) {
    case LimitHit::none:
      return "none";
    case LimitHit::memory:
      return "memory";
    case LimitHit::processes:
      return "processes";
    case LimitHit::wall:
      return "wall time";
    case LimitHit::cpu:
      return "cpu time";
    case LimitHit::output:
      return "output";
  }
  return "none";
}

}  // namespace sb::sandbox
