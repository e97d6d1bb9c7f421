// The worker: a service under the conductor that claims update requests and carries them out, one at a time.
//
// It is crash-only: SIGTERM ends it at once, wherever it is. The journal says where a cycle stands, the
// sandbox kills what it ran, and the next worker (perhaps the new version that this one has just built) takes
// it up.
#pragma once

#include "base/result.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

// Runs until SIGTERM. In a candidate run (SELFBUILD_CANDIDATE=1) it opens a state of its own, says that it is
// ready, and claims nothing.
[[nodiscard]] Result<int> run_worker(Program& program);

}  // namespace sb::tool
