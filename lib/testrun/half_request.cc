#include "testrun/half_request.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "os/unix_socket.h"
#include "supervise/address.h"
#include "supervise/steering.h"

namespace sb::testrun {
namespace {

// "HTTP/1.1 200": more of it says nothing more.
constexpr std::size_t kStatusEnd = 12;
constexpr std::size_t kStatus = 9;

Result<UniqueFd> connect_to(const std::string& text) {
  SB_TRY(const supervise::Address address, supervise::parse_address(text));
  if (address.is_unix()) return os::connect_unix(address.unix_path, SOCK_NONBLOCK);
  SB_TRY(const supervise::SocketAddress where, supervise::socket_address(supervise::reachable(address)));
  UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error("cannot create a socket"));
  // On the loopback this is over at once, unless the queue is full.
  const int code = ::connect(fd.get(), where.get(), where.size) == 0 ? 0 : errno;
  pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  if (code != 0 && (code != EINPROGRESS || ::poll(&wait, 1, 0) != 1))
    return fail(errno_error(fmt::format("cannot connect to {}", text), code));
  return fd;
}

void send_all(const UniqueFd& fd, std::string_view bytes) {
  (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

std::optional<HalfRequest> HalfRequest::begin(const supervise::ProbeSpec& probe,
                                              const std::vector<supervise::BoundSocket>& sockets) {
  if (probe.kind != supervise::ProbeSpec::Kind::http) return std::nullopt;
  const auto named = std::ranges::find(sockets, probe.address, &supervise::BoundSocket::name);
  if (named == sockets.end()) return std::nullopt;
  Result<UniqueFd> fd = connect_to(named->address);
  if (!fd) return std::nullopt;
  send_all(*fd, fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", probe.path));
  return HalfRequest(std::move(*fd), named->fd.get());
}

bool HalfRequest::accepted() const {
  return supervise::connections_waiting(listener_) == 0;
}

void HalfRequest::finish() {
  send_all(fd_, "\r\n");
}

std::optional<bool> HalfRequest::answered() {
  std::array<char, kStatusEnd> bytes{};
  while (answer_.size() < kStatusEnd) {
    const ssize_t got = ::recv(fd_.get(), bytes.data(), kStatusEnd - answer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (got <= 0) return false;
    answer_.append(bytes.data(), static_cast<std::size_t>(got));
  }
  return answer_.starts_with("HTTP/1.") && (answer_[kStatus] == '2' || answer_[kStatus] == '3');
}

}  // namespace sb::testrun
