// The least that can be served: takes descriptor 3, answers every connection with its process id, one at a
// time. Static, so that its start is a fork, an exec and an accept.
#include <cstdio>

#include <sys/socket.h>
#include <unistd.h>

int main() {
  char answer[128];
  char id[16];
  const int digits = std::snprintf(id, sizeof id, "%d\n", ::getpid());
  const int size =
      std::snprintf(answer, sizeof answer,
                    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", digits, id);
  while (true) {
    const int fd = ::accept(3, nullptr, nullptr);
    if (fd < 0) return 1;
    char request[4096];
    if (::recv(fd, request, sizeof request, 0) > 0)
      (void)!::send(fd, answer, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    ::close(fd);
  }
}
