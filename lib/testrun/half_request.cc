#include "testrun/half_request.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

#include "os/unix_socket.h"
#include "supervise/address.h"

namespace sb::testrun {
namespace {

using supervise::Address;

Result<UniqueFd> connect_to(const std::string& text) {
  SB_TRY(const Address address, supervise::parse_address(text));
  if (address.is_unix()) return os::connect_unix(address.unix_path);
  SB_TRY(const supervise::SocketAddress where, supervise::socket_address(supervise::reachable(address)));
  UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), where.get(), where.size) != 0)
    return fail(errno_error(fmt::format("cannot connect to {}", text)));
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
  return HalfRequest(std::move(*fd));
}

void HalfRequest::finish() {
  send_all(fd_, "\r\n");
}

std::optional<bool> HalfRequest::answered() {
  if (answered_) return answered_;
  std::array<char, 512> bytes{};
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  answered_ = got > 0;
  return answered_;
}

}  // namespace sb::testrun
