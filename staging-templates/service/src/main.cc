// @NAME@: serves HTTP/1.1 on the socket that it inherits or, started by hand, on a port of its own. It can be
// replaced without losing a request; selfbuild/service.h says how.
#include <cctype>
#include <cerrno>
#include <cstddef>
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
constexpr std::size_t kMostUnsent = 64 * 1024;  // of answers, before the next request is read
constexpr std::size_t kMostConnections = 900;   // fewer than descriptors
constexpr std::int64_t kLongestSilenceMs = 60'000;
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
  std::int64_t moved_ms;  // when something last came or went, by selfbuild_now_ms()
  std::string in;
  std::string out;
  bool last = false;       // no request is answered after what is in `out`
  bool heard_all = false;  // the client has closed its side
  bool is_busy() const { return !out.empty() || (!last && !in.empty()); }
};

// A header of the request, in lower case; empty: there is none.
std::string header(std::string head, const std::string& name) {
  for (char& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::size_t at = head.find("\r\n" + name + ":");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 3;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

// Takes whole requests from the front of `in` and puts their answers into `out`.
void serve(Connection& connection, std::string_view greeting, bool draining) {
  std::size_t end = 0;
  while (!connection.last && (end = connection.in.find("\r\n\r\n")) != std::string::npos) {
    const std::string head = connection.in.substr(0, end + 2);
    const std::string line = head.substr(0, head.find("\r\n"));
    connection.in.erase(0, end + 4);
    const std::size_t space = line.find(' ');
    const std::size_t second = space == std::string::npos ? space : line.find(' ', space + 1);
    const std::string version = second == std::string::npos ? "" : line.substr(second + 1);
    const bool valid = version == "HTTP/1.1" || version == "HTTP/1.0";
    const Answer reply =
        valid ? answer(line.substr(0, space), line.substr(space + 1, second - space - 1), greeting)
              : Answer{400, "what?\n"};
    // A body is not read; it would be taken for the next request.
    const bool has_body =
        !header(head, "content-length").empty() || !header(head, "transfer-encoding").empty();
    const bool asked_to = header(head, "connection").find("close") != std::string::npos;
    connection.last = draining || version != "HTTP/1.1" || has_body || asked_to || reply.status == 405;
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
  const bool may_read = !connection.heard_all && connection.out.size() < kMostUnsent;
  ssize_t n = may_read ? ::recv(connection.fd, block, sizeof block, MSG_DONTWAIT) : -1;
  if (!may_read) errno = EAGAIN;
  connection.moved_ms = selfbuild_now_ms();
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
  std::size_t busy = 0;
  while (selfbuild_may_end(&drain, busy, connections.size() - busy) == 0) {
    const bool draining = drain.began != 0;
    std::vector<pollfd> polled = {{draining ? -1 : stop, POLLIN, 0}};
    const bool accepting = !draining && connections.size() < kMostConnections;
    polled.push_back({accepting ? listener : -1, POLLIN, 0});
    for (const Connection& c : connections) {
      const bool reads = !c.heard_all && c.out.size() < kMostUnsent;
      polled.push_back({c.fd, static_cast<short>((reads ? POLLIN : 0) | (c.out.empty() ? 0 : POLLOUT)), 0});
    }
    const int timeout = selfbuild_drain_timeout(&drain, busy);
    // Now and then, for those that have been silent too long.
    ::poll(polled.data(), polled.size(), timeout < 0 && !connections.empty() ? 1'000 : timeout);

    busy = 0;
    std::size_t i = 2;
    for (auto c = connections.begin(); c != connections.end(); ++i) {
      const bool forgotten = selfbuild_now_ms() - c->moved_ms > kLongestSilenceMs;
      const bool open = polled[i].revents == 0 ? !forgotten : advance(*c, greeting, draining);
      if (!open) ::close(c->fd);
      if (open && c->is_busy()) ++busy;
      c = open ? std::next(c) : connections.erase(c);
    }
    // Another process may have been faster: then accept says EAGAIN.
    const int fd = polled[1].revents == 0 ? -1 : ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) connections.push_back({fd, selfbuild_now_ms(), {}, {}});
    if (polled[0].revents != 0) selfbuild_begin_drain(&drain, kLastChanceMs);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int stop = selfbuild_stop_descriptor();
  int listener = selfbuild_socket("http");
  if (listener < 0) listener = listen_on(argc > 1 ? std::atoi(argv[1]) : 8080);
  if (stop < 0 || listener < 0) {
    std::cerr << "cannot listen: " << std::strerror(errno) << "\n";
    return 1;
  }
  const char* greeting = std::getenv("GREETING");
  selfbuild_ready();
  run(stop, listener, greeting == nullptr ? "Hello from @NAME@" : greeting);
  return 0;
}
