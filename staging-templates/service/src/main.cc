// @NAME@: serves HTTP/1.1 on the socket that it inherits or, started by hand, on a port of its own. It can be
// replaced without losing a request; selfbuild/service.h says how.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "selfbuild/service.h"

namespace {

constexpr std::size_t kLargestRequest = 8 * 1024;
constexpr std::size_t kMostConnections = 1000;
constexpr unsigned kLastChanceMs = 2000;  // for a client to use its open connection once more

int listen_on(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  return bound && ::listen(socket, SOMAXCONN) == 0 ? socket : -1;
}

struct Connection {
  int fd;
  std::string in;
  std::string out;
  bool last = false;       // no request is answered after what is in `out`
  bool heard_all = false;  // the client has closed its side
};

// Takes whole requests from the front of `in` and puts their answers into `out`.
void serve(Connection& connection, std::string_view greeting, bool draining) {
  std::size_t end = 0;
  while (!connection.last && (end = connection.in.find("\r\n\r\n")) != std::string::npos) {
    const std::string line = connection.in.substr(0, connection.in.find("\r\n"));
    connection.in.erase(0, end + 4);
    const std::size_t space = line.find(' ');
    const std::size_t second = space == std::string::npos ? space : line.find(' ', space + 1);
    const bool valid = second != std::string::npos && line.substr(second + 1) == "HTTP/1.1";
    const Answer reply =
        valid ? answer(line.substr(0, space), line.substr(space + 1, second - space - 1), greeting)
              : Answer{400, "what?\n"};
    // A request other than GET may be followed by a body, which would be read as the next request.
    connection.last = draining || !valid || reply.status == 405;
    connection.out += "HTTP/1.1 " + std::to_string(reply.status) +
                      (reply.status == 200 ? " OK" : " Refused") +
                      "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(reply.body.size()) +
                      (connection.last ? "\r\nConnection: close" : "") + "\r\n\r\n" + reply.body;
  }
  if (connection.in.size() > kLargestRequest) connection.last = true;
}

// Reads and writes what is possible now. False when the connection has ended.
bool advance(Connection& connection, std::string_view greeting, bool draining) {
  char block[4096];
  ssize_t n = ::recv(connection.fd, block, sizeof block, MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
  if (n == 0) connection.heard_all = connection.last = true;
  if (n > 0 && !connection.last) {
    connection.in.append(block, static_cast<std::size_t>(n));
    serve(connection, greeting, draining);
  }
  while (!connection.out.empty()) {
    n = ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    connection.out.erase(0, static_cast<std::size_t>(n));
  }
  // After the last answer the client closes; if we did, what we have not read would cut the answer off.
  if (connection.last) ::shutdown(connection.fd, SHUT_WR);
  return !connection.heard_all;
}

void run(int stop, int listener, const std::string& greeting) {
  std::list<Connection> connections;
  selfbuild_drain drain{};
  while (selfbuild_may_end(&drain, connections.size()) == 0) {
    const bool draining = drain.began != 0;
    std::vector<pollfd> polled = {{draining ? -1 : stop, POLLIN, 0}};
    const bool accepting = !draining && connections.size() < kMostConnections;
    polled.push_back({accepting ? listener : -1, POLLIN, 0});
    for (const Connection& c : connections) {
      polled.push_back(
          {c.fd, static_cast<short>((c.heard_all ? 0 : POLLIN) | (c.out.empty() ? 0 : POLLOUT)), 0});
    }
    ::poll(polled.data(), polled.size(), selfbuild_drain_timeout(&drain));

    std::size_t i = 2;
    for (auto c = connections.begin(); c != connections.end(); ++i) {
      const bool open = polled[i].revents == 0 || advance(*c, greeting, draining);
      if (!open) ::close(c->fd);
      c = open ? std::next(c) : connections.erase(c);
    }
    // Another process may have been faster: then accept says EAGAIN.
    const int fd = polled[1].revents == 0 ? -1 : ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) connections.push_back({fd, {}, {}});
    if (polled[0].revents != 0) selfbuild_begin_drain(&drain, kLastChanceMs);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int stop = selfbuild_stop_descriptor();
  int listener = selfbuild_socket("http");
  if (listener < 0) listener = listen_on(argc > 1 ? std::atoi(argv[1]) : 8080);
  if (listener < 0) {
    std::cerr << "cannot listen: " << std::strerror(errno) << "\n";
    return 1;
  }
  const char* greeting = std::getenv("GREETING");
  selfbuild_ready();
  run(stop, listener, greeting == nullptr ? "Hello from @NAME@" : greeting);
  return 0;
}
