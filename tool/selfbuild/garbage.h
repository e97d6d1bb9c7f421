// What `selfbuild gc` may remove: decided from history alone, before anything is touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "history/types.h"

namespace sb::tool {

// What is kept of a project: the live version, the ones that a roll-back would go to (`before` is the one
// that `selfbuild rollback` takes without being told), and the newest `keep`; the logs of the cycles that
// made them, and of the newest `keep` cycles. The rest is what these two return. versions and cycles newest
// first.
[[nodiscard]] std::vector<history::Version> old_versions(const std::vector<history::Version>& versions,
                                                         std::optional<int> live, std::optional<int> before,
                                                         int keep);
[[nodiscard]] std::vector<history::Cycle> old_cycles(const std::vector<history::Cycle>& cycles,
                                                     const std::vector<history::Version>& versions,
                                                     const std::vector<history::Version>& old, int keep);

// Bytes of all files below a folder; 0 when it is not there. Symlinks are not followed.
[[nodiscard]] std::uint64_t bytes_below(const std::filesystem::path& folder);

// Folders that crashes left in a project's folder of versions: half laid out, set aside as damaged (but of
// the live one), or of a version that history says has no files any more.
[[nodiscard]] std::vector<std::filesystem::path> leftovers(const std::filesystem::path& folder,
                                                           const std::vector<history::Version>& versions,
                                                           std::optional<int> live);

}  // namespace sb::tool
