// Configure of a build with a cache: an empty folder is filled from it, or CMake runs there, is told what an
// earlier run found out about the host (known_checks.h), and what it leaves is kept.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "build/builder.h"
#include "build/tool_runner.h"
#include "cache/configured_folder.h"
#include "cache/places.h"

namespace sb::build {

struct CachedConfigured {
  bool ran = false;
  std::string reason;    // why it ran
  std::string compiler;  // for BuildReport
  std::string options;   // for BuildReport
  std::string note;      // why the folder is not kept; empty when it is
  std::vector<Diagnostic> warnings;
};

// The build folder must be empty. Errors as configure(), and what the store says.
[[nodiscard]] Result<CachedConfigured> cached_configure(const BuildRequest& request, ToolRunner& tools,
                                                        const ProgressSink& progress,
                                                        const cache::Places& places,
                                                        cache::ConfiguredFolder& folder);

}  // namespace sb::build
