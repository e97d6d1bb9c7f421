#include "support/conversation.h"

#include <array>
#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>

#include "os/unix_socket.h"

namespace sb::tests {

UniqueFd connect_to(const std::string& address) {
  if (address.starts_with("unix:")) {
    Result<UniqueFd> connected = os::connect_unix(address.substr(5));
    return connected ? std::move(*connected) : UniqueFd();
  }
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) fd.reset();
  return fd;
}

void say(const UniqueFd& connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string hear(const UniqueFd& connection) {
  std::string text;
  std::array<char, 4096> bytes{};
  while (true) {
    const ssize_t got = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

std::string talk(const std::string& address, std::string_view bytes) {
  const UniqueFd connection = connect_to(address);
  say(connection, bytes);
  return hear(connection);
}

}  // namespace sb::tests
