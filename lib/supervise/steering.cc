#include "supervise/steering.h"

#include <array>
#include <cstdint>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "supervise/address.h"
#include "supervise/probe.h"

namespace sb::supervise {
namespace {

constexpr std::uint32_t kProbeSource = (127U << 24U) | (83U << 16U) | (66U << 8U);  // "SB"
constexpr std::uint32_t kSourceOffset = 12;  // in the header of IPv4, RFC 791

std::uint32_t source_number(Side side) {
  return kProbeSource + (side == Side::a ? 1 : 2);
}

std::uint32_t index_of(Side side) {
  return side == Side::a ? 0 : 1;
}

sock_filter load(std::uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
sock_filter give(std::uint32_t index) {
  return BPF_STMT(BPF_RET | BPF_K, index);
}
// Skips so many of the next instructions when the condition holds, or when it does not.
sock_filter skip_if(std::uint16_t condition, std::uint32_t number, std::uint8_t if_so, std::uint8_t else_) {
  return BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | condition | BPF_K), number, if_so, else_);
}

}  // namespace

Side opposite(Side side) {
  return side == Side::a ? Side::b : Side::a;
}

std::string_view to_string(Side side) {
  return side == Side::a ? "a" : "b";
}

std::string probe_source(Side side) {
  return fmt::format("127.83.66.{}", side == Side::a ? 1 : 2);
}

bool can_be_steered(std::string_view listen) {
  const Result<Address> address = parse_address(listen);
  if (!address || address->is_unix()) return false;
  if (address->host == probe_source(Side::a) || address->host == probe_source(Side::b)) return false;
  return address->host == "0.0.0.0" || address->host.starts_with("127.");
}

Result<SteeredPair> bind_steered(const SocketSpec& spec) {
  // The first one is bound alone: a port of somebody else who lets himself be joined is not taken from him.
  SB_TRY(BoundSocket first, bind_socket(spec, Sharing::joinable));
  SB_CHECK(steer(first.fd.get(), Side::a));
  // The second one is never in the group without the program.
  SB_TRY(BoundSocket second,
         bind_socket(SocketSpec{.name = spec.name, .listen = first.address}, Sharing::joins));
  return SteeredPair{
      .address = std::move(first.address), .a = std::move(first.fd), .b = std::move(second.fd)};
}

Status steer(int fd, Side side, int percent_to_other) {
  constexpr std::uint64_t kAllNumbers = std::uint64_t{1} << 32U;
  const auto percent = static_cast<std::uint64_t>(percent_to_other);
  const auto limit = static_cast<std::uint32_t>(percent < 100 ? kAllNumbers * percent / 100 : 0);
  const Side rest = percent < 100 ? side : opposite(side);
  std::array program{
      load(static_cast<std::uint32_t>(SKF_NET_OFF) + kSourceOffset),
      skip_if(BPF_JEQ, source_number(Side::a), 4, 0),
      skip_if(BPF_JEQ, source_number(Side::b), 4, 0),
      load(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)),
      skip_if(BPF_JGE, limit, 0, 3),
      give(index_of(rest)),
      give(index_of(Side::a)),
      give(index_of(Side::b)),
      give(index_of(opposite(side))),
  };
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0) return {};
  return fail(errno_error("cannot steer connections (SO_ATTACH_REUSEPORT_CBPF)"));
}

int connections_waiting(int fd) {
  // Of a listening socket, "unacked" is the length of its accept queue (tcp_get_info in the kernel).
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != TCP_LISTEN) return 0;
  return static_cast<int>(info.tcpi_unacked);
}

int reset_waiting(int fd) {
  // Shared with whoever had it, and may have made it wait.
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int count = 0;
  while (true) {
    const UniqueFd connection(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      ::fcntl(fd, F_SETFL, flags);
      return count;
    }
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ++count;
  }
}

}  // namespace sb::supervise
