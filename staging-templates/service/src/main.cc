// @NAME@: serves HTTP/1.1 on the socket that it inherits (LISTEN_FDS) or, started by hand, on a port of its
// own.
//
// It can be replaced without losing a request. The successor starts on the same socket, so nobody ever finds
// the port closed. On SIGTERM this process stops accepting, finishes what it has begun, answers each waiting
// connection once more with "Connection: close", and exits.
#include <algorithm>
#include <cerrno>
#include <chrono>
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
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answer.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLargestRequest = 8 * 1024;
constexpr std::size_t kMostConnections = 1000;
constexpr auto kLastChance = std::chrono::seconds(2);  // for a client to use its open connection once more
constexpr int kFirstInherited = 3;                     // SD_LISTEN_FDS_START

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Tells the conductor (sd_notify(3)): READY=1 or STOPPING=1. Nobody listens when it was started by hand.
void notify(std::string_view state) {
  const std::string path = variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // an abstract address
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           size);
  ::close(socket);
}

int listen_on(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
  bool last = false;  // close it when `out` is written
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
  ssize_t n = 0;
  while (!connection.last && (n = ::recv(connection.fd, block, sizeof block, MSG_DONTWAIT)) > 0) {
    connection.in.append(block, static_cast<std::size_t>(n));
    serve(connection, greeting, draining);
  }
  const bool gone = !connection.last && (n == 0 || (errno != EAGAIN && errno != EINTR));
  while (!connection.out.empty()) {
    n = ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    connection.out.erase(0, static_cast<std::size_t>(n));
  }
  return !gone && !connection.last;
}

void run(std::vector<int> listeners, int signals, const std::string& greeting) {
  std::list<Connection> connections;
  bool draining = false;
  Clock::time_point deadline;
  while (!draining || (!connections.empty() && Clock::now() < deadline)) {
    std::vector<pollfd> polled = {{draining ? -1 : signals, POLLIN, 0}};
    const bool accepting = !draining && connections.size() < kMostConnections;
    for (const int listener : listeners) polled.push_back({accepting ? listener : -1, POLLIN, 0});
    for (const Connection& c : connections) {
      // What comes after the last answer is not read any more.
      polled.push_back({c.fd, static_cast<short>((c.last ? 0 : POLLIN) | (c.out.empty() ? 0 : POLLOUT)), 0});
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    ::poll(polled.data(), polled.size(),
           draining ? static_cast<int>(std::max<long>(left.count(), 0)) + 1 : -1);

    std::size_t i = 1 + listeners.size();
    for (auto c = connections.begin(); c != connections.end(); ++i) {
      const bool open = polled[i].revents == 0 || advance(*c, greeting, draining);
      if (!open) ::close(c->fd);
      c = open ? std::next(c) : connections.erase(c);
    }
    for (std::size_t k = 0; k < listeners.size(); ++k) {
      // Another process may have been faster: then accept says EAGAIN.
      const int fd =
          polled[k + 1].revents == 0 ? -1 : ::accept4(listeners[k], nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) connections.push_back({fd, {}, {}, false});
    }
    if (polled[0].revents != 0) {
      draining = true;
      deadline = Clock::now() + kLastChance;
      notify("STOPPING=1");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  const int signals = ::signalfd(-1, &stop, SFD_CLOEXEC);

  std::vector<int> listeners;
  for (int i = 0; i < std::atoi(variable("LISTEN_FDS").c_str()); ++i)
    listeners.push_back(kFirstInherited + i);
  if (listeners.empty()) listeners.push_back(listen_on(argc > 1 ? std::atoi(argv[1]) : 8080));
  for (const int listener : listeners) {
    if (listener < 0 || ::fcntl(listener, F_SETFL, O_NONBLOCK) != 0) {
      std::cerr << "cannot listen: " << std::strerror(errno) << "\n";
      return 1;
    }
  }
  const std::string greeting = variable("GREETING");
  notify("READY=1");
  run(std::move(listeners), signals, greeting.empty() ? "Hello from @NAME@" : greeting);
  return 0;
}
