#include "http/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.h"
#include "http/connection.h"
#include "os/unix_socket.h"

namespace sb::http {
namespace {

constexpr int kAcceptsAtOnce = 16;  // then the loop has its turn
constexpr os::Milliseconds kWithoutDescriptors{100};

bool is_known(std::string_view method) {
  constexpr std::array<std::string_view, 9> kMethods{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                     "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

// "/a/*/b" takes "/a/x/b", whose name is "x".
bool matches(std::string_view pattern, std::string_view path, std::string& name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == path;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  const bool around =
      path.size() > before.size() + after.size() && path.starts_with(before) && path.ends_with(after);
  if (!around) return false;
  const std::string_view segment = path.substr(before.size(), path.size() - before.size() - after.size());
  if (segment.find('/') != std::string_view::npos) return false;
  name = segment;
  return true;
}

}  // namespace

Exchange::~Exchange() {
  if (!answered_) answer({.status = 500, .body = "the handler ended without an answer\n"});
}

void Exchange::answer(const Response& response) {
  if (std::exchange(answered_, true)) return;
  if (const std::shared_ptr<Connection> connection = connection_.lock()) connection->answer(response);
}

void Exchange::stream(const Response& head) {
  if (std::exchange(answered_, true)) return;
  if (const std::shared_ptr<Connection> connection = connection_.lock()) connection->begin_stream(head);
}

void Exchange::send(std::string_view text) {
  if (const std::shared_ptr<Connection> connection = connection_.lock()) connection->send(text);
}

void Exchange::on_gone(std::function<void()> gone) {
  if (const std::shared_ptr<Connection> connection = connection_.lock())
    return connection->when_gone(std::move(gone));
  gone();
}

Server::Server(os::EventLoop& loop, std::string token, Limits limits)
    : loop_(loop), token_(std::move(token)), limits_(limits) {}
Server::~Server() = default;

Status Server::listen(UniqueFd listener, Door door) {
  listeners_.push_back(std::make_unique<Listener>());
  Listener& added = *listeners_.back();
  added.fd = std::move(listener);
  added.door = door;
  watch(added);
  if (!added.accepting) return fail(errno_error("cannot watch a socket of HTTP"));
  return {};
}

void Server::watch(Listener& listener) {
  listener.accepting = loop_.on_readable(listener.fd.get(), [this, &listener] { accept_some(listener); });
}

void Server::accept_some(Listener& listener) {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      Client client{.door = listener.door, .uid = {}, .pid = 0};
      if (listener.door.port == 0) {
        const Result<os::Peer> peer = os::peer_of(fd.get());
        if (!peer || (limits_.only_uid && peer->uid != *limits_.only_uid)) continue;
        client.uid = peer->uid;
        client.pid = peer->pid;
      }
      add(std::move(fd), client);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // What waits keeps the listener readable: look away instead of spinning.
      listener.accepting.reset();
      listener.pause = loop_.after(kWithoutDescriptors, [this, &listener] { watch(listener); });
    }
    return;
  }
}

// Whoever has been slow for longest goes first; who is being served stays.
bool Server::make_room() {
  if (connections_.size() < limits_.connections) return true;
  const auto spared =
      std::ranges::find_if(connections_, [](const auto& each) { return each.second->can_be_spared(); });
  if (spared == connections_.end()) return false;
  spared->second->end();
  connections_.erase(spared);
  return true;
}

void Server::add(UniqueFd fd, const Client& client) {
  if (!make_room()) {
    const std::string busy =
        to_bytes(refusal_response({.status = 503, .why = "too many connections"}), BodyKind::whole, false);
    (void)!::send(fd.get(), busy.data(), busy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  const std::uint64_t id = next_id_++;
  const auto connection = std::make_shared<Connection>(loop_, limits_, std::move(fd), client);
  connections_[id] = connection;
  connection->start({.on_request = [this](const ExchangePtr& exchange) { serve(exchange); },
                     .on_end = [this, id] { connections_.erase(id); }});
}

void Server::on(const std::string& method, const std::string& path, Handler handler) {
  routes_.push_back({.method = method, .path = path, .handler = std::move(handler)});
}

void Server::serve(const ExchangePtr& exchange) {
  Request& request = exchange->request_;
  const auto refuse = [&exchange](const Refusal& refusal) { exchange->answer(refusal_response(refusal)); };
  if (const auto refusal = wrong_place(request.fields, request.client.door)) return refuse(*refusal);
  if (!is_known(request.method)) return refuse({.status = 501, .why = "a method that is not known"});
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const std::string_view method = reads ? "GET" : std::string_view(request.method);
  std::vector<std::string> allowed;
  for (const Route& route : routes_) {
    if (!matches(route.path, request.path, request.name)) continue;
    allowed.push_back(route.method == "GET" ? "GET, HEAD" : route.method);
    if (route.method != method) continue;
    if (!reads) {
      if (const auto refusal = no_token(request.fields, token_)) return refuse(*refusal);
    }
    return route.handler(exchange);
  }
  if (allowed.empty()) return refuse({.status = 404, .why = "nothing is there"});
  Response response = refusal_response({.status = 405, .why = "not what can be done there"});
  response.fields.emplace_back("Allow", join(allowed, ", "));
  exchange->answer(response);
}

Result<UniqueFd> listen_loopback(std::string_view address, int& port) {
  const std::size_t colon = address.rfind(':');
  const std::string_view host = address.substr(0, colon);
  const std::string_view digits = colon == std::string_view::npos ? "" : address.substr(colon + 1);
  const bool v6 = host == "[::1]";
  int wanted = -1;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), wanted);
  const bool number =
      code == std::errc() && end == digits.data() + digits.size() && wanted >= 0 && wanted <= 65535;
  if (!number || !(v6 || host == "127.0.0.1" || host == "localhost")) {
    return fail(ErrorKind::usage,
                fmt::format("HTTP is served at 127.0.0.1:PORT or [::1]:PORT, not at \"{}\"", address));
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(static_cast<std::uint16_t>(wanted));
  six.sin6_addr = in6addr_loopback;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(static_cast<std::uint16_t>(wanted));
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error("cannot create a socket for HTTP"));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* const name =
      v6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  if (::bind(fd.get(), name, v6 ? sizeof six : sizeof four) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    Error error = errno_error(fmt::format("cannot serve HTTP at {}", address));
    if (errno == EADDRINUSE) error.kind = ErrorKind::conflict;
    return fail(std::move(error));
  }
  port = port_of(fd.get());
  return fd;
}

std::string Server::loopback() const {
  const auto door = std::ranges::find_if(listeners_, [](const auto& each) { return each->door.port != 0; });
  if (door == listeners_.end()) return {};
  return fmt::format("{}:{}", is_v6((*door)->fd.get()) ? "[::1]" : "127.0.0.1", (*door)->door.port);
}

bool is_v6(int socket) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_INET6;
}

int port_of(int socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(name).sin_port);
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(name).sin6_port);
  return 0;
}

}  // namespace sb::http
