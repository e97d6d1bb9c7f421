// The last resort: while no conductor can be started, clients of services that have died are told so by HTTP
// (503, try again), instead of waiting in a backlog that nobody empties. Part of the keeper's inside.
//
// Only on TCP sockets that no other living process has open: what a process has open is in /proc/PID/fd, and
// while there is no conductor nobody can start a process that gets one from us. So no connection is taken
// from a service that is merely busy. A service that hides what it has open counts as one that has
// everything.
#pragma once

#include <sys/types.h>

#include "keeper/memory.h"

namespace sb::keeper {

// Starts the process that answers, and returns its pid, or -1. A child, so that the process that holds
// everything never reads a byte from a client. It ends with its parent, and at SIGTERM, which it is to be
// sent before a conductor is started.
[[nodiscard]] pid_t start_stand_in(const HeldDescriptors& held);

}  // namespace sb::keeper
