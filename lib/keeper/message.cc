#include "keeper/message.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>

namespace sb::keeper {

Delivery send_message(int socket, const char* text, int fd) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(text), std::strlen(text)};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  while (::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Delivery::later;
    return errno == EPIPE || errno == ECONNRESET ? Delivery::gone : Delivery::failed;
  }
  return Delivery::done;
}

Delivery receive_message(int socket, Message& message) {
  message = {};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{message.text.data(), message.text.size() - 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = -1;
  while ((got = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    // A peer that died with something unread resets the connection, once: what it sent before is still there.
    if (errno == EINTR || errno == ECONNRESET) continue;
    return errno == EAGAIN ? Delivery::later : Delivery::failed;
  }
  if (got == 0) return Delivery::gone;
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(rights), sizeof number);
    message.fd = UniqueFd(number);
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) message = {};  // none of ours is that long
  return Delivery::done;
}

}  // namespace sb::keeper
