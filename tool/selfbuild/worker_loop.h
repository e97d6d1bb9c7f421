// The worker: a service under the conductor that claims update requests and carries them out, one at a time.
//
// It is crash-only: SIGTERM ends it at once, wherever it is. The journal says where a cycle stands, the
// sandbox kills what it ran, and the next worker (perhaps the new version that this one has just built) takes
// it up.
#pragma once

#include "base/result.h"
#include "tool/selfbuild/command.h"
#include "update/conductor_link.h"

namespace sb::tool {

// Runs until SIGTERM. In a candidate run (SELFBUILD_CANDIDATE=1) it opens a state of its own, says that it is
// ready, and claims nothing.
[[nodiscard]] Result<int> run_worker(Program& program);

// One task: waits until there is one, carries its cycle out, and completes the task if the cycle is closed.
// left_open: it could not be closed (the conductor went away, the journal could not be written); the lease
// was given back, and the same task comes again. An error: no task could be claimed.
enum class Turn { closed, left_open };
[[nodiscard]] Result<Turn> take_turn(const os::Home& home, history::History& past,
                                     update::ConductorLink& conductor, const os::Clock& clock);

}  // namespace sb::tool
