// A build that starts from an empty folder and finds nearly everything in the cache: the configured folder,
// the outputs of every edge that ever ran with the same inputs. Ninja runs the rest.
#pragma once

#include <vector>

#include "base/result.h"
#include "build/builder.h"
#include "build/tool_runner.h"
#include "cache/build_cache.h"

namespace sb::build {

// Errors as build(), and besides: corrupt, environment, when the cache cannot be used. Nothing in the build
// folder is to be believed then.
[[nodiscard]] Result<BuildReport> cached_build(const BuildRequest& request, ToolRunner& tools,
                                               const ProgressSink& progress);

// What the cache would do for each edge of the request, in build order; CMake runs when it has to, Ninja does
// not. The build folder is left configured.
[[nodiscard]] Result<std::vector<cache::EdgeVerdict>> explain_edges(const BuildRequest& request,
                                                                    const ProgressSink& progress);

}  // namespace sb::build
