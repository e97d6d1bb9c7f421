// Ports of 127.0.0.1, for servers that tests start or pretend to be.
#pragma once

namespace sb::tests {

// A socket that is bound to a free port. Aborts the test program when there is none.
struct BoundSocket {
  int fd = -1;  // the caller's to close
  int port = 0;
};
[[nodiscard]] BoundSocket bind_free_port(int flags = 0);  // SOCK_NONBLOCK
// Whether the socket got through to whoever listens there.
[[nodiscard]] bool connect_to(int fd, int port);

}  // namespace sb::tests
