// The worker that the command line brings along until a project promotes a better one.
#pragma once

#include "base/result.h"
#include "os/home.h"
#include "update/conductor_link.h"

namespace sb::tool {

// The name is fixed: a project whose selfbuild.yaml has a Service `worker` (this repository has) replaces it.
inline constexpr const char* kWorkerService = "worker";

// Starts the conductor if need be, and the worker from this very program unless the conductor knows one
// already.
[[nodiscard]] Status ensure_worker(update::ConductorLink& conductor);

}  // namespace sb::tool
