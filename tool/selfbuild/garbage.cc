#include "tool/selfbuild/garbage.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace sb::tool {
namespace {

namespace fs = std::filesystem;
using history::Version;
using history::VersionState;

// What a roll-back may go to: the newest known good but the live one, and the newest below it. They differ
// after a roll-back, when versions above the live one have been in service, too.
std::set<int> known_good(const std::vector<Version>& versions, std::optional<int> live) {
  std::set<int> kept;
  bool any = false;
  bool below = false;
  for (const Version& version : versions) {
    if (version.state != VersionState::known_good || version.number == live) continue;
    if (!any) kept.insert(version.number);
    any = true;
    if (!below && live && version.number < *live) {
      kept.insert(version.number);
      below = true;
    }
  }
  return kept;
}

}  // namespace

std::vector<Version> old_versions(const std::vector<Version>& versions, std::optional<int> live,
                                  std::optional<int> before, int keep) {
  std::set<int> safe = known_good(versions, live);
  if (before) safe.insert(*before);
  std::vector<Version> old;
  for (std::size_t i = static_cast<std::size_t>(keep); i < versions.size(); ++i) {
    const Version& version = versions[i];
    if (version.number == live || safe.contains(version.number) || version.outputs.empty()) continue;
    old.push_back(version);
  }
  return old;
}

std::vector<history::Cycle> old_cycles(const std::vector<history::Cycle>& cycles,
                                       const std::vector<Version>& versions, const std::vector<Version>& old,
                                       int keep) {
  std::set<std::int64_t> kept;
  for (const Version& version : versions) {
    const bool goes = std::ranges::find(old, version.number, &Version::number) != old.end();
    if (!goes && !version.outputs.empty()) kept.insert(version.cycle);
  }
  std::vector<history::Cycle> result;
  for (std::size_t i = static_cast<std::size_t>(keep); i < cycles.size(); ++i) {
    if (cycles[i].completed_ms && !kept.contains(cycles[i].id)) result.push_back(cycles[i]);
  }
  return result;
}

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code code;
  for (auto it =
           fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, code);
       !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored) || it->is_symlink(ignored)) continue;
    const std::uintmax_t size = it->file_size(ignored);
    if (!ignored) bytes += size;
  }
  return bytes;
}

std::vector<fs::path> leftovers(const fs::path& folder, const std::vector<Version>& versions,
                                std::optional<int> live) {
  std::vector<fs::path> found;
  std::set<std::string> emptied;
  for (const Version& version : versions) {
    if (version.outputs.empty() && version.number != live)
      emptied.insert(history::version_name(version.number));
  }
  const std::string of_live = live ? history::version_name(*live) + ".damaged." : "";
  std::error_code code;
  for (auto it = fs::directory_iterator(folder, code); !code && it != fs::directory_iterator();
       it.increment(code)) {
    const std::string name = it->path().filename().string();
    const bool half = name.starts_with(".v");
    // A service that was started before may still run from the live version's damaged folder.
    const bool damaged =
        name.find(".damaged.") != std::string::npos && (of_live.empty() || !name.starts_with(of_live));
    if (half || damaged || emptied.contains(name)) found.push_back(it->path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace sb::tool
