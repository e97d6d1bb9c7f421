// The addresses that sockets are bound to and probes connect to, as people write them: "127.0.0.1:8080",
// "[::1]:8080", "localhost:8080", "unix:/path". Host names other than localhost are refused: a name server
// that is slow or down must not decide whether a service is well.
#pragma once

#include <string>
#include <string_view>

#include <sys/socket.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::supervise {

struct Address {
  std::string unix_path;  // set for "unix:/path", then the others are empty
  std::string host;       // numeric, without brackets
  int port = 0;
  [[nodiscard]] bool is_unix() const { return !unix_path.empty(); }
  [[nodiscard]] std::string to_string() const;
};

// usage when the text is none of the forms above.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

// For the internet forms only.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
[[nodiscard]] Result<SocketAddress> socket_address(const Address& address);

// Where a client reaches a socket that was bound to this address: 0.0.0.0 and [::] become the loopback.
[[nodiscard]] Address reachable(Address address);

}  // namespace sb::supervise
