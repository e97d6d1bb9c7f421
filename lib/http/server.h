// Server: HTTP/1.1 on the event loop, for this host only: on a Unix socket of our own user, and on the
// loopback. Bounded in every direction; see Limits. Requests of one connection are answered in their order,
// one at a time. Host and Origin are checked before any handler sees a request, and whatever is not GET or
// HEAD needs the token. Handlers run on the loop, and must not destroy the server.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "http/access.h"
#include "http/message.h"
#include "os/clock.h"
#include "os/event_loop.h"

namespace sb::http {

struct Limits {
  std::size_t connections = 64;
  std::size_t body = 64UL * 1024;
  std::size_t unsent = 1UL << 20U;              // of a stream; a reader that leaves more is dropped
  os::Milliseconds request{10'000};             // from its first byte to its last
  os::Milliseconds idle{60'000};                // between two requests
  os::Milliseconds stalled{20'000};             // a client that reads nothing of its answer
  os::Milliseconds linger{2'000};               // until a client that was refused has closed
  std::optional<uid_t> only_uid = ::geteuid();  // of who connects to a Unix socket
};

struct Client {
  Door door;
  std::optional<uid_t> uid;  // known on a Unix socket
  pid_t pid = 0;             // the same
};

struct Request {
  std::string method;
  std::string path;   // as it came: nothing is decoded
  std::string query;  // what follows "?"
  std::string name;   // what stands for the "*" of the route
  std::vector<Field> fields;
  std::string body;
  Client client;
};

class Connection;

// One request and its one answer, at once or later. When the last pointer to it goes unanswered, the client
// gets a 500. All of it does nothing once the client has gone.
class Exchange {
 public:
  Exchange(std::weak_ptr<Connection> connection, Request request)
      : connection_(std::move(connection)), request_(std::move(request)) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  [[nodiscard]] const Request& request() const { return request_; }
  void answer(const Response& response);
  // An answer whose body goes on until either side ends it; then any number of send().
  void stream(const Response& head);
  void send(std::string_view text);
  // The stream's client has gone; called once, from the loop, or at once when it has gone before.
  void on_gone(std::function<void()> gone);

 private:
  friend class Server;
  std::weak_ptr<Connection> connection_;
  Request request_;
  bool answered_ = false;
};

using ExchangePtr = std::shared_ptr<Exchange>;
using Handler = std::function<void(const ExchangePtr&)>;

class Server {
 public:
  // token: what changes state asks for it.
  Server(os::EventLoop& loop, std::string token, Limits limits = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // A listening, non-blocking socket, on which the server accepts from now on. environment when it cannot.
  [[nodiscard]] Status listen(UniqueFd listener, Door door);
  // path: exact, or with one "*" that stands for one segment. method "GET" also serves HEAD.
  void on(const std::string& method, const std::string& path, Handler handler);
  // "127.0.0.1:PORT" of the first door on the loopback; empty without one.
  [[nodiscard]] std::string loopback() const;
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  struct Listener {
    UniqueFd fd;
    Door door;
    os::Watch accepting;
    os::Watch pause;
  };
  struct Route {
    std::string method;
    std::string path;
    Handler handler;
  };
  void watch(Listener& listener);
  void accept_some(Listener& listener);
  void add(UniqueFd fd, const Client& client);
  [[nodiscard]] bool make_room();
  void serve(const ExchangePtr& exchange);

  os::EventLoop& loop_;
  std::string token_;
  Limits limits_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Route> routes_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;  // oldest first
};

// A socket on the loopback: "127.0.0.1:0" to "127.0.0.1:65535", "[::1]:N", "localhost:N". usage for what is
// no such address, conflict when it is taken. `port` becomes the one that it has.
[[nodiscard]] Result<UniqueFd> listen_loopback(std::string_view address, int& port);
// The port that a listening TCP socket has; 0 for another one.
[[nodiscard]] int port_of(int socket);
[[nodiscard]] bool is_v6(int socket);

}  // namespace sb::http
