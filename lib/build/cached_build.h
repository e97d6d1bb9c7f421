// A build that starts from an empty folder and finds nearly everything in the cache: the configured folder,
// the outputs of every edge that ever ran with the same inputs. Ninja runs the rest.
#pragma once

#include "base/result.h"
#include "build/builder.h"
#include "build/tool_runner.h"

namespace sb::build {

// Errors as build(), and besides: corrupt, environment, when the cache cannot be used. Nothing in the build
// folder is to be believed then.
[[nodiscard]] Result<BuildReport> cached_build(const BuildRequest& request, ToolRunner& tools,
                                               const ProgressSink& progress);

}  // namespace sb::build
