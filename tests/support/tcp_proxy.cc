#include "support/tcp_proxy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/local_port.h"

namespace sb::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kQueued = 8 << 20;

// One direction of a connection.
struct Way {
  int from = -1;
  int to = -1;
  std::deque<std::pair<steady_clock::time_point, std::string>> queue;
  std::size_t queued = 0;
  std::size_t passed = 0;
  bool ended = false;
};

struct Connection {
  int client = -1;
  int server = -1;
  TcpProxy::Manner manner = TcpProxy::Manner::forwards;
  std::size_t after = 0;
  std::array<Way, 2> ways;  // to the server, to the client
  bool over = false;

  void end(bool abruptly) {
    if (abruptly) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(client);
    if (server >= 0) ::close(server);
    over = true;
  }

  void take(Way& way, milliseconds delay) {
    std::array<char, 64 << 10> block{};
    const ssize_t n = ::recv(way.from, block.data(), block.size(), MSG_DONTWAIT);
    if (n < 0) return;
    if (n == 0) way.ended = true;
    if (n == 0 || manner == TcpProxy::Manner::silent) return;
    way.queue.emplace_back(steady_clock::now() + delay,
                           std::string(block.data(), static_cast<std::size_t>(n)));
    way.queued += static_cast<std::size_t>(n);
  }

  void give(Way& way) {
    while (!way.queue.empty() && way.queue.front().first <= steady_clock::now()) {
      std::string& bytes = way.queue.front().second;
      std::size_t most = bytes.size();
      const bool resets = manner == TcpProxy::Manner::resets && &way == &ways[1];
      if (resets) most = std::min(most, after - way.passed);
      const ssize_t n = most == 0 ? 0 : ::send(way.to, bytes.data(), most, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) return;
      way.passed += static_cast<std::size_t>(n);
      way.queued -= static_cast<std::size_t>(n);
      if (resets && way.passed >= after) return end(true);
      bytes.erase(0, static_cast<std::size_t>(n));
      if (bytes.empty()) way.queue.pop_front();
    }
  }
};

}  // namespace

TcpProxy::TcpProxy(int server_port, milliseconds delay) : server_port_(server_port), delay_(delay) {
  const BoundSocket listener = bind_free_port(SOCK_NONBLOCK);
  listener_ = listener.fd;
  port_ = listener.port;
  if (::listen(listener_, 256) != 0) std::abort();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

TcpProxy::~TcpProxy() {
  thread_.request_stop();
  // Wakes it.
  const int knock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)connect_to(knock, port_);
  thread_.join();
  ::close(knock);
  ::close(listener_);
}

void TcpProxy::behave(Manner manner, std::size_t after) {
  after_ = after;
  manner_ = manner;
}

void TcpProxy::run(const std::stop_token& stop) {
  std::list<Connection> connections;
  while (!stop.stop_requested()) {
    std::vector<pollfd> ends{{listener_, POLLIN, 0}};
    std::vector<std::pair<Connection*, Way*>> owners{{nullptr, nullptr}};
    auto next = steady_clock::time_point::max();
    const auto now = steady_clock::now();
    for (Connection& each : connections) {
      for (Way& way : each.ways) {
        if (!way.ended && way.from >= 0 && way.queued < kQueued) {
          ends.push_back({way.from, POLLIN, 0});
          owners.emplace_back(&each, &way);
        }
        if (way.queue.empty()) continue;
        if (way.queue.front().first > now) {
          next = std::min(next, way.queue.front().first);
        } else {
          ends.push_back({way.to, POLLOUT, 0});
          owners.emplace_back(&each, &way);
        }
      }
    }
    timespec wait{};
    if (next != steady_clock::time_point::max()) {
      const auto left = std::chrono::nanoseconds(next - now).count();
      wait = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    }
    if (::ppoll(ends.data(), ends.size(), next == steady_clock::time_point::max() ? nullptr : &wait,
                nullptr) < 0)
      continue;
    if ((ends[0].revents & POLLIN) != 0) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client >= 0 && !stop.stop_requested()) {
        ++connections_;
        Connection& fresh = connections.emplace_back();
        fresh.client = client;
        fresh.manner = manner_;
        fresh.after = after_;
        fresh.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::setsockopt(fresh.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!connect_to(fresh.server, server_port_)) fresh.end(true);
        fresh.ways[0].from = fresh.ways[1].to = client;
        fresh.ways[0].to = fresh.ways[1].from = fresh.server;
      } else if (client >= 0) {
        ::close(client);
      }
    }
    for (std::size_t i = 1; i < ends.size(); ++i) {
      auto [connection, way] = owners[i];
      if (connection->over || ends[i].revents == 0) continue;
      if (ends[i].events == POLLIN) connection->take(*way, delay_);
    }
    for (Connection& each : connections) {
      for (Way& way : each.ways) {
        if (!each.over) each.give(way);
      }
      if (!each.over &&
          std::ranges::any_of(each.ways, [](const Way& way) { return way.ended && way.queue.empty(); }))
        each.end(false);
    }
    connections.remove_if([](const Connection& each) { return each.over; });
  }
  for (Connection& each : connections) each.end(false);
}

}  // namespace sb::tests
