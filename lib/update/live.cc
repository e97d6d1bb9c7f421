#include "update/live.h"

#include <fmt/format.h>

#include "history/types.h"
#include "os/file_system.h"

namespace sb::update {

Result<std::optional<int>> live_version(const os::Home& home, const std::string& project) {
  const Result<std::filesystem::path> target = os::read_link(home.pointer(project));
  if (!target) {
    if (target.error().kind == ErrorKind::not_found) return std::nullopt;
    return fail(target.error());
  }
  const Result<int> number = history::parse_version(target->filename().string());
  if (!number) {
    return fail(ErrorKind::corrupt, fmt::format("{} points to {}, which is no version",
                                                home.pointer(project).string(), target->string()));
  }
  return *number;
}

}  // namespace sb::update
