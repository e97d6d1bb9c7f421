// What a process asks the kernel for with bind(2) and listen(2), answered by another process: a seccomp
// filter with user notification (seccomp_unotify(2), Linux 5.9). Everything else that the process does goes
// to the kernel unseen. No boundary: it is for programs that mean well.
//
// The filter holds for all that the process starts, for good. When the last descriptor of its listener is
// closed, every bind and listen under it fails with ENOSYS.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <sys/socket.h>
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::os {

// Puts the calling thread under the filter; returns the listener (close-on-exec), or -1 with errno. EBUSY: it
// is under another one already. Sets no_new_privs, unless it has CAP_SYS_ADMIN: programs that it starts then
// gain nothing from set-user-ID. Async-signal-safe.
[[nodiscard]] int install_bind_filter();
// Whether this host allows it, found out by a child process that tries.
[[nodiscard]] Status try_bind_filter();

// A thread that waits in bind or listen.
struct BindCall {
  std::uint64_t id = 0;  // of the notification
  pid_t thread = 0;
  bool is_listen = false;
  int fd = -1;                // its descriptor
  std::uint64_t address = 0;  // of a sockaddr in its memory
  socklen_t size = 0;
};
// The next one; none when none waits (any more). Does not block when the listener is readable and nobody else
// receives from it.
[[nodiscard]] std::optional<BindCall> next_bind_call(int listener);
// It still waits: what was read from its process meanwhile was read from it, and not from who has its pid
// now.
[[nodiscard]] bool still_waits(int listener, const BindCall& call);
// No process is left under the filter.
[[nodiscard]] bool is_over(int listener);

// A duplicate of the socket that it was called with. Takes the right to trace the process, as does the next.
[[nodiscard]] Result<UniqueFd> socket_of(const BindCall& call);
// The address that it asks for: at most sizeof(sockaddr_storage) bytes.
[[nodiscard]] Result<std::vector<std::byte>> address_of(const BindCall& call);
// Its descriptor is closed by execve.
[[nodiscard]] bool is_close_on_exec(const BindCall& call);

// The kernel does what was asked.
void let_pass(int listener, const BindCall& call);
// The call returns 0, and nothing was done.
void answer_done(int listener, const BindCall& call);
// Its descriptor becomes a duplicate of fd; the call still waits. not_found when it does not any more.
[[nodiscard]] Status replace_descriptor(int listener, const BindCall& call, int fd, bool close_on_exec);

}  // namespace sb::os
