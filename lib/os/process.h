// Processes that outlive a function call: services under the conductor, and what a sandbox starts.
// A process is known by pid *and* start time, so that a recycled pid is never taken for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::os {

struct SpawnSpec {
  std::vector<std::string> argv;  // argv[0] is an absolute path, or is looked up in the PATH of environment
  std::vector<std::string> environment;  // "NAME=value"; exactly these, nothing inherited
  std::filesystem::path directory;       // empty: unchanged
  std::vector<int> sockets;  // become 3, 4, … in the child; LISTEN_FDS and LISTEN_PID are set for them
  std::vector<std::string> socket_names;  // LISTEN_FDNAMES, same length as sockets
  int output = -1;                        // becomes 1 and 2 in the child; -1: /dev/null
  bool new_session = true;                // setsid(): signals to the group reach all that did not leave it
  bool die_with_parent = false;           // SIGKILL when the spawning thread ends (PR_SET_PDEATHSIG)
  // bind and listen of it and of all that it starts wait for an answer, see bind_filter.h; where the host
  // does not allow that it starts without.
  bool ask_for_binds = false;
};

// A child, or an adopted process. Closing the pidfd does not touch the process.
struct Process {
  pid_t pid = -1;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  UniqueFd pidfd;                 // readable when the process has ended
  UniqueFd bind_calls{};          // the listener of bind_filter.h; none: not asked for, or not allowed
};

// Starts a program with every other descriptor closed, default signal dispositions and an empty signal mask.
// Errors (file missing, not executable, …) are reported here, not by a child that exits 127. Thread-safe.
[[nodiscard]] Result<Process> spawn(const SpawnSpec& spec);

// execve(2), again for up to a second while the file is busy (ETXTBSY): another thread of the process that
// wrote it may have forked in between, and its child holds the writer's descriptor until it calls exec
// itself. Returns only on failure, with errno. Async-signal-safe.
void execute(const char* program, char* const argv[], char* const environment[]);

// The running process with this pid and start time, or nothing when it has gone.
[[nodiscard]] std::optional<Process> adopt(pid_t pid, std::uint64_t start_ticks);
[[nodiscard]] std::optional<std::uint64_t> start_ticks_of(pid_t pid);

struct Exit {
  bool known = false;  // false for adopted processes, whose status goes to their real parent
  int code = 0;        // meaningful when signal is 0
  int signal = 0;
  [[nodiscard]] std::string to_string() const;  // "exit code 3", "killed by SIGSEGV", "ended"
};
// Reaps a process that has ended; does not block. Nothing while it runs.
[[nodiscard]] std::optional<Exit> reap(const Process& process);
// "SIGSEGV" for 11.
[[nodiscard]] std::string signal_name(int signal);
// Sends a signal to the process (by pidfd, so never to a recycled pid), and to its process group when asked.
void send_signal(const Process& process, int signal, bool whole_group = false);
// Resident memory of a process and its descendants, in bytes; what they share counts for each. 0 when it has
// gone.
[[nodiscard]] std::uint64_t resident_bytes(pid_t process);
// The process, then its descendants.
[[nodiscard]] std::vector<pid_t> with_descendants(pid_t process);

// The value of NAME in this process's environment, or empty.
[[nodiscard]] std::string environment_variable(const char* name);
// "NAME=value" for each of these that is set here and not empty: for SpawnSpec::environment.
[[nodiscard]] std::vector<std::string> environment_of(std::span<const char* const> names);
// The path of the running program.
[[nodiscard]] std::filesystem::path own_executable();

}  // namespace sb::os
