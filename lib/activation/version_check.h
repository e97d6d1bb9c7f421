// Whether a version's folder holds what was built, tested and recorded; looked at before any of it is
// started.
#pragma once

#include <filesystem>
#include <functional>

#include "base/result.h"
#include "history/types.h"

namespace sb::activation {

// Reads every file: takes a second for a gigabyte. corrupt names the first file that is another one.
// Thread-safe.
[[nodiscard]] Status check_version(const history::Version& version, const std::filesystem::path& directory);

// The seam: calls answer once, later, on the event loop.
using CheckVersion = std::function<void(const history::Version&, const std::filesystem::path& directory,
                                        std::function<void(Status)> answer)>;

}  // namespace sb::activation
