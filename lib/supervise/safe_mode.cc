#include "supervise/safe_mode.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "http/access.h"
#include "http/message.h"
#include "http/request_head.h"

namespace sb::supervise {
namespace {

constexpr int kAcceptsAtOnce = 16;  // then the loop has its turn
constexpr os::Milliseconds kWithoutDescriptors{100};
constexpr std::size_t kMostIgnored = 256 * 1024;  // of a body that nobody reads
constexpr std::size_t kLongestForm = 1024;
constexpr std::size_t kCodeBytes = 8;
constexpr const char* kUpAgain = "the service is up again";

// The description of a listening socket is shared with the instances, and so is O_NONBLOCK: it is the service
// that decides. Set only while no instance could see it, and for the length of one accept.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
    if (!was_set()) ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~NonBlocking() {
    if (!was_set()) ::fcntl(fd_, F_SETFL, flags_);
  }
  NonBlocking(const NonBlocking&) = delete;
  NonBlocking& operator=(const NonBlocking&) = delete;

 private:
  [[nodiscard]] bool was_set() const { return (flags_ & O_NONBLOCK) != 0; }
  int fd_;
  int flags_;
};

bool blocks(int fd) {
  return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

// The peer is a process of this host.
bool is_local(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  if (peer.ss_family == AF_UNIX) return true;
  if (peer.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(peer);
    return (ntohl(address.sin_addr.s_addr) >> 24U) == 127;
  }
  if (peer.ss_family != AF_INET6) return false;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

// Seconds until a client may hope.
std::int64_t retry_after(const Diagnosis& diagnosis, std::int64_t now_ms) {
  return std::clamp<std::int64_t>((diagnosis.next_start_ms - now_ms + 999) / 1000, 1, 60);
}

bool wants_json(const http::RequestHead& head) {
  const std::string* accept = http::field(head.fields(), "accept");
  if (accept == nullptr) return false;
  const std::string accepted = lower_case(*accept);
  return accepted.find("application/json") < accepted.find("text/html");  // npos is the largest
}

// It came through a proxy that says so: the peer is not who asks.
bool is_forwarded(const http::RequestHead& head) {
  constexpr std::array<std::string_view, 4> kOfProxies{"forwarded", "via", "x-forwarded-for", "x-real-ip"};
  return std::ranges::any_of(
      kOfProxies, [&head](std::string_view name) { return http::field(head.fields(), name) != nullptr; });
}

std::string refusal(int status, std::string why) {
  const http::Refusal refused{.status = status, .why = std::move(why)};
  return http::to_bytes(http::refusal_response(refused), http::BodyKind::whole, /*keep_alive=*/false);
}

// A fresh code, in a file that only its owner can read. Empty: there is none, and so no buttons.
std::string publish_code(const std::string& file) {
  std::array<unsigned char, kCodeBytes> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
  std::string code;
  for (const unsigned char byte : bytes) code += fmt::format("{:02x}", byte);
  ::unlink(file.c_str());
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const std::string line = code + "\n";
  if (!fd || ::write(fd.get(), line.data(), line.size()) != std::ssize(line)) return {};
  return code;
}

http::Response unavailable(const Diagnosis& diagnosis, const Answer& answer, std::int64_t now_ms) {
  return {.status = 503,
          .content_type = answer.content_type,
          .body = answer.body,
          .fields = {
              {"Retry-After", fmt::to_string(retry_after(diagnosis, now_ms))},
              {"Vary", "Accept"},
              {"Content-Security-Policy",
               "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
               "base-uri 'none'"}}};
}

}  // namespace

struct HttpSafeMode::Connection {
  UniqueFd fd;
  std::shared_ptr<const Diagnosis> diagnosis;
  bool local = false;
  http::RequestHead head{};
  std::optional<std::size_t> form_size{};  // an act is asked for
  std::string form{};                      // as far as it has come
  std::string out{};
  bool answered = false;
  std::size_t ignored = 0;  // bytes that came after the head
  os::Watch readable{};
  os::Watch writable{};
  os::Watch deadline{};
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // for who answers later
};

HttpSafeMode::HttpSafeMode(os::EventLoop& loop, Limits limits) : loop_(loop), limits_(limits) {}
HttpSafeMode::~HttpSafeMode() = default;

void HttpSafeMode::begin(const std::string& service, const std::vector<int>& sockets, Diagnosis diagnosis) {
  std::string code = std::move(standing_[service].code);  // it goes on
  if (perform_ && diagnosis.details && code.empty() && !diagnosis.code_file.empty())
    code = publish_code(diagnosis.code_file);
  standing_[service] = Standing{.diagnosis = std::make_shared<const Diagnosis>(std::move(diagnosis)),
                                .code = std::move(code),
                                .shared = false,
                                .listeners = {}};
  for (const int socket : sockets) listen(service, socket);
}

void HttpSafeMode::share(const std::string& service) {
  const auto standing = standing_.find(service);
  if (standing == standing_.end()) return;
  standing->second.shared = true;
  // One that blocks cannot be accepted from by two without one of them being stuck: the instance has it
  // alone.
  std::erase_if(standing->second.listeners, [](const auto& listener) { return blocks(listener.first); });
}

void HttpSafeMode::end(const std::string& service) {
  const auto standing = standing_.find(service);
  if (standing == standing_.end()) return;
  if (!standing->second.code.empty()) ::unlink(standing->second.diagnosis->code_file.c_str());
  standing_.erase(standing);
}

// Accepts when all that has come has been heard: who connects after an instance said READY=1 is the
// instance's.
void HttpSafeMode::listen(const std::string& service, int socket) {
  standing_[service].listeners[socket].readable = loop_.on_readable(socket, [this, service, socket] {
    standing_[service].listeners[socket].soon =
        loop_.after(os::Milliseconds(0), [this, service, socket] { accept_some(service, socket); });
  });
}

void HttpSafeMode::accept_some(const std::string& service, int socket) {
  Standing& standing = standing_[service];
  if (standing.shared && blocks(socket)) {
    standing.listeners.erase(socket);  // the instance has made it block
    return;
  }
  const NonBlocking for_now(socket);
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int fd = ::accept4(socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      add(fd, standing.diagnosis);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      Listener& listener = standing.listeners[socket];
      listener.readable.reset();
      listener.soon = loop_.after(kWithoutDescriptors, [this, service, socket] { listen(service, socket); });
    }
    return;
  }
}

void HttpSafeMode::add(int fd, const std::shared_ptr<const Diagnosis>& diagnosis) {
  if (connections_.size() >= limits_.connections) connections_.pop_front();
  const auto connection = connections_.emplace(
      connections_.end(), Connection{.fd = UniqueFd(fd), .diagnosis = diagnosis, .local = is_local(fd)});
  connection->readable = loop_.on_readable(fd, [this, connection] { readable(connection); });
  connection->deadline =
      loop_.after(limits_.patience, [this, connection] { connections_.erase(connection); });
}

void HttpSafeMode::readable(std::list<Connection>::iterator connection) {
  std::array<char, 4096> bytes{};
  const ssize_t got = ::recv(connection->fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    connections_.erase(connection);
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  if (connection->answered) {
    // Read, so that the answer is not cut off by the reset that unread bytes cause.
    connection->ignored += size;
    if (connection->ignored > kMostIgnored) connections_.erase(connection);
    return;
  }
  const std::string_view text(bytes.data(), size);
  if (connection->form_size) return take_form(connection, text);
  using State = http::RequestHead::State;
  std::size_t used = 0;
  switch (connection->head.take(text, used)) {
    case State::incomplete:
      return;
    case State::not_http:
      connections_.erase(connection);
      return;
    case State::malformed:
      return answer(connection, refusal(400, "the request is not as RFC 9112 has it"));
    case State::too_long:
      return answer(connection, refusal(414, "the request line is too long"));
    case State::too_large:
      return answer(connection, refusal(431, "the header is too large"));
    case State::complete:
      return asked(connection, text.substr(used));
  }
}

void HttpSafeMode::asked(std::list<Connection>::iterator connection, std::string_view rest) {
  const http::RequestHead& head = connection->head;
  const Diagnosis& diagnosis = *connection->diagnosis;
  const bool details = diagnosis.details && connection->local && !is_forwarded(head);
  const auto standing = standing_.find(diagnosis.service);
  const bool buttons = details && standing != standing_.end() && !standing->second.code.empty();
  const bool pressed = details && perform_ && head.method() == "POST" && head.target() == kActPath;
  if (pressed && standing == standing_.end()) return answer(connection, refusal(409, kUpAgain));
  if (pressed && buttons) {
    const auto framing = http::framing_of(head, kLongestForm);
    if (!framing) return answer(connection, refusal(framing.error().status, framing.error().why));
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (framing->expects_continue)
      (void)::send(connection->fd.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
    connection->form_size = framing->body;
    return take_form(connection, rest);
  }
  const Answer body = wants_json(head) ? as_json(diagnosis, details) : as_page(diagnosis, details, buttons);
  const http::Response response = unavailable(diagnosis, body, loop_.clock().unix_ms());
  const bool is_head = head.method() == "HEAD";
  answer(connection,
         http::to_bytes(response, is_head ? http::BodyKind::none_for_head : http::BodyKind::whole, false));
}

void HttpSafeMode::take_form(std::list<Connection>::iterator connection, std::string_view bytes) {
  const std::size_t missing = *connection->form_size - connection->form.size();
  connection->form += bytes.substr(0, missing);
  if (bytes.size() < missing) return;
  connection->readable.reset();  // until it is answered
  act(connection);
}

void HttpSafeMode::act(std::list<Connection>::iterator connection) {
  const auto value = [&](std::string_view key) { return http::form_value(connection->form, key); };
  Press press{.service = connection->diagnosis->service, .act = value("act")};
  const auto standing = standing_.find(press.service);
  if (standing == standing_.end()) return answer(connection, refusal(409, kUpAgain));
  if (!http::same_token(value("code"), standing->second.code))
    return answer(connection, refusal(403, "this is not the code; the page says where it stands"));
  // "rollback 3": the version is the button's.
  if (press.act.starts_with("rollback ")) {
    press.version = std::atoi(press.act.c_str() + std::strlen("rollback "));
    press.act = "rollback";
  }
  if (press.act != "restart" && press.version <= 0)
    return answer(connection, refusal(400, "act is restart, or rollback and a version"));
  connection->deadline = loop_.after(limits_.act, [this, connection] { still_acting(connection); });
  perform_(press, [this, connection, alive = std::weak_ptr<bool>(connection->alive)](const Status& done) {
    if (alive.expired() || connection->answered) return;
    connection->deadline =
        loop_.after(limits_.patience, [this, connection] { connections_.erase(connection); });
    if (!done) return answer(connection, refusal(http::status_of(done.error().kind), one_line(done.error())));
    const http::Response see{.status = 303, .fields = {{"Location", "/"}}};
    answer(connection, http::to_bytes(see, http::BodyKind::whole, /*keep_alive=*/false));
  });
}

void HttpSafeMode::still_acting(std::list<Connection>::iterator connection) {
  connection->deadline =
      loop_.after(limits_.patience, [this, connection] { connections_.erase(connection); });
  const http::Response later{.status = 202, .body = "it goes on; look again\n"};
  answer(connection, http::to_bytes(later, http::BodyKind::whole, /*keep_alive=*/false));
}

void HttpSafeMode::answer(std::list<Connection>::iterator connection, std::string bytes) {
  connection->answered = true;
  if (!connection->readable)
    connection->readable =
        loop_.on_readable(connection->fd.get(), [this, connection] { readable(connection); });
  connection->out = std::move(bytes);
  write(connection);
}

void HttpSafeMode::write(std::list<Connection>::iterator connection) {
  std::string& out = connection->out;
  const ssize_t sent = ::send(connection->fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    connections_.erase(connection);
    return;
  }
  out.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (!out.empty()) {
    if (!connection->writable) {
      connection->writable =
          loop_.on_writable(connection->fd.get(), [this, connection] { write(connection); });
    }
    return;
  }
  connection->writable.reset();
  ::shutdown(connection->fd.get(), SHUT_WR);  // the peer closes when it has read all
}

}  // namespace sb::supervise
