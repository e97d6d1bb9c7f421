// The init of a run: a process between the caller and the command that outlives neither and lets nothing
// outlive itself. It is forked and never executes a program, so all that it needs is laid out here
// beforehand.
#pragma once

#include <cstdint>
#include <span>

#include <sys/types.h>

#include "sandbox/limits.h"
#include "sandbox/view.h"

namespace sb::sandbox {

// Pointers stay valid in the forked copy of the caller's memory. Descriptors are all close-on-exec and
// numbered above those that the command will get.
struct InitPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  char* listen_pid = nullptr;  // room behind "LISTEN_PID=", or null without sockets
  const char* directory = nullptr;
  const ViewPlan* view = nullptr;  // null: the host's own root

  int channel = -1;  // sequenced packets: orders from the caller, the Ending to it
  int start = -1;    // StartNotes to the caller; ends when the command runs or has failed to
  int caller = -1;   // pidfd of the caller: readable when it has died
  int output = -1;   // of the command
  int null = -1;     // /dev/null
  std::span<const int> sockets;
  std::span<const int> group_entries;
  int kill_switch = -1;
  int cpu_meter = -1;
  std::span<const int> keep;  // all descriptors above, ascending; every other one is closed

  std::span<const char* const> group_folders;  // removed at the very end
  std::span<const ProcessLimit> process_limits;
  std::int64_t deadline_ns = 0;  // on CLOCK_MONOTONIC; 0: none
  std::int64_t cpu_limit_ns = 0;
  unsigned long process_limit = 0;
};

// What goes wrong before the program runs, or the pid of the command.
struct StartNote {
  enum class Kind : std::int32_t { pid, fork, session, group, descriptors, view, directory, limits, program };
  Kind kind;
  std::int32_t value;  // the pid, or errno
};

// Orders of the caller. The end of the channel means kill_all, too. terminate: SIGTERM to the command's
// group; tell_command: to the command alone.
enum class Order : char { terminate = 't', tell_command = 'c', kill_all = 'k' };

// Sent once, when no process of the run is left.
struct Ending {
  std::int32_t wait_status = 0;  // of the command, as by wait(2)
  LimitHit limit = LimitHit::none;
  std::int32_t survivors = 0;   // that lived on after the command, and were killed
  std::int32_t unkillable = 0;  // 1: gave up waiting for processes that do not die
  std::int64_t cpu_us = 0;
  std::int64_t largest_kib = 0;
};

[[noreturn]] void run_init(const InitPlan& plan);

}  // namespace sb::sandbox
