// Counting and killing every descendant of the calling process, for the init of a run. The init is a child
// subreaper: whatever a run forks, daemonises or orphans has the init as its nearest living ancestor.
// Async-signal-safe and single-threaded: the init is a fork of a program that may have had threads.
#pragma once

#include <sys/types.h>

namespace sb::sandbox {

// Living descendants, without the calling process; zombies not counted. At most 65,536 are seen.
[[nodiscard]] unsigned long count_descendants();

// Direct children, the dead that were not reaped yet among them; cheap. -1 when the kernel keeps no list of
// them.
[[nodiscard]] long count_children();

// One round against what still lives: SIGKILL to every child and, when asked, SIGSTOP to everything further
// down, so that it forks no more until it becomes our child and its turn comes. Call it until there is no
// child left; a round on children alone takes microseconds, one everywhere reads all of /proc.
void strike_descendants(bool everywhere);

// For the caller when an init was killed: SIGKILL to every living process of a session. False when there was
// none. Not thread-safe.
bool strike_session(pid_t session);

}  // namespace sb::sandbox
