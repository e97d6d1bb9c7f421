// Unix sockets: addresses of any depth, peer credentials, descriptors as ancillary data (unix(7)).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::os {

// A path above 107 bytes does not fit in sockaddr_un: such paths are reached through /proc/self/fd of their
// folder. listen: removes a stale socket first (conflict when something else is there), mode 0600, CLOEXEC,
// non-blocking.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::filesystem::path& path);
[[nodiscard]] Result<UniqueFd> bind_unix_datagram(const std::filesystem::path& path);  // with SO_PASSCRED
// Stream socket; flags: SOCK_NONBLOCK, or it blocks while the queue is full. environment error when nobody
// listens.
[[nodiscard]] Result<UniqueFd> connect_unix(const std::filesystem::path& path, int flags = 0);

struct Peer {
  pid_t pid;
  uid_t uid;
};
[[nodiscard]] Result<Peer> peer_of(int socket);

// One message with descriptors (SCM_RIGHTS). Received descriptors are CLOEXEC.
[[nodiscard]] Status send_with_fds(int socket, std::string_view bytes, const std::vector<int>& fds);
struct Message {
  std::string bytes;
  std::vector<UniqueFd> fds;
  pid_t sender_pid = -1;  // from SCM_CREDENTIALS, when the socket passes them
};
// At most 64 KiB and 16 descriptors. Empty bytes at the end of a stream.
[[nodiscard]] Result<Message> receive_with_fds(int socket);

}  // namespace sb::os
