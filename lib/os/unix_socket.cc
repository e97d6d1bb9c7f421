#include "os/unix_socket.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sb::os {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFds = 16;

// Calls use(address) for a path of any length: a long one through a descriptor of its folder.
int with_address(const fs::path& path, const std::function<int(const sockaddr*, socklen_t)>& use) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string name = path.string();
  UniqueFd folder;
  if (name.size() >= sizeof address.sun_path) {
    folder = UniqueFd(::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return -1;
    name = fmt::format("/proc/self/fd/{}/{}", folder.get(), path.filename().string());
  }
  if (name.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  return use(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// What an earlier program left behind; a file that is something else belongs to somebody.
Status remove_stale(const fs::path& path) {
  struct stat there{};
  if (::lstat(path.c_str(), &there) != 0) return {};
  if (!S_ISSOCK(there.st_mode)) {
    return fail(ErrorKind::conflict, fmt::format("{} exists and is not a socket", path.string()));
  }
  ::unlink(path.c_str());
  return {};
}

Result<UniqueFd> bind_unix(const fs::path& path, int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error("cannot create a Unix socket"));
  SB_CHECK(remove_stale(path));
  // fchmod before bind sets the mode of the socket file, so that there is no moment in which others may
  // connect.
  ::fchmod(fd.get(), 0600);
  const int bound =
      with_address(path, [&](const sockaddr* a, socklen_t size) { return ::bind(fd.get(), a, size); });
  if (bound != 0 || ::chmod(path.c_str(), 0600) != 0) {
    return fail(errno_error(fmt::format("cannot bind {}", path.string())));
  }
  return fd;
}

}  // namespace

Result<UniqueFd> listen_unix(const fs::path& path) {
  SB_TRY(UniqueFd fd, bind_unix(path, SOCK_STREAM));
  if (::listen(fd.get(), SOMAXCONN) != 0) {
    return fail(errno_error(fmt::format("cannot listen on {}", path.string())));
  }
  return fd;
}

Result<UniqueFd> bind_unix_datagram(const fs::path& path) {
  SB_TRY(UniqueFd fd, bind_unix(path, SOCK_DGRAM));
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return fail(errno_error(fmt::format("cannot ask for credentials on {}", path.string())));
  }
  return fd;
}

Result<UniqueFd> connect_unix(const fs::path& path, int flags) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return fail(errno_error("cannot create a Unix socket"));
  const int connected =
      with_address(path, [&](const sockaddr* a, socklen_t size) { return ::connect(fd.get(), a, size); });
  if (connected != 0) return fail(errno_error(fmt::format("nobody answers on {}", path.string())));
  return fd;
}

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return fail(errno_error("cannot ask who is at the other end of a socket"));
  }
  return Peer{.pid = credentials.pid, .uid = credentials.uid};
}

Status send_with_fds(int socket, std::string_view bytes, const std::vector<int>& fds) {
  if (fds.size() > kMaxFds) return fail(ErrorKind::bug, "too many descriptors for one message");
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent != static_cast<ssize_t>(bytes.size())) return fail(errno_error("cannot send descriptors"));
  return {};
}

Result<Message> receive_with_fds(int socket) {
  constexpr std::size_t kControl = CMSG_SPACE(sizeof(int) * kMaxFds) + CMSG_SPACE(sizeof(ucred));
  alignas(cmsghdr) std::array<char, kControl> control{};
  std::string bytes(64 * 1024, '\0');
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(errno_error("cannot receive a message"));
  Message received;
  bytes.resize(static_cast<std::size_t>(got));
  received.bytes = std::move(bytes);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
        received.fds.emplace_back(fd);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
      received.sender_pid = credentials.pid;
    }
  }
  return received;
}

}  // namespace sb::os
