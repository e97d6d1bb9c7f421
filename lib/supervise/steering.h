// Steering: two listening sockets on one address ("sides"), and who decides which of them gets a new
// connection. The live instance of a service has one side and the incoming one the other; one system call
// moves all new connections, or a part of them, from one to the other.
//
// Both are members of one SO_REUSEPORT group (socket(7)), in which a classic BPF program picks the index
// (SO_ATTACH_REUSEPORT_CBPF, Linux 4.6; no privilege is needed). The index is the order of listen(), and
// stays so only while neither is closed: whoever owns a pair closes both or none. Connections that wait in a
// side's backlog stay there when the steering changes: only who has that side can accept them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "supervise/service_spec.h"

namespace sb::supervise {

enum class Side { a, b };
[[nodiscard]] Side opposite(Side side);
[[nodiscard]] std::string_view to_string(Side side);  // "a", "b"

// Who connects from this address reaches this side, whatever is steered where: questions about one instance
// go to that instance, on the port that its users have. Loopback, and no address that anybody has by chance.
[[nodiscard]] std::string probe_source(Side side);

// TCP on 127.0.0.0/8 or 0.0.0.0. All else (Unix sockets, IPv6, one address of a network card) has one socket
// that both instances share.
[[nodiscard]] bool can_be_steered(std::string_view listen);

// CLOEXEC, non-blocking, listening with the host's full backlog; all goes to side a.
struct SteeredPair {
  std::string address;  // as bound
  UniqueFd a;
  UniqueFd b;
};
// Port 0 takes a free one. conflict when anybody listens there; environment when the kernel does not steer.
[[nodiscard]] Result<SteeredPair> bind_steered(const SocketSpec& spec);

// New connections go to `side`, but for percent of them (0 to 100, by chance), which go to the other one.
// `fd` is any socket of the pair. Takes effect with the next SYN.
[[nodiscard]] Status steer(int fd, Side side, int percent_to_other = 0);

// How many connections wait in this socket's backlog for somebody to accept them.
[[nodiscard]] int connections_waiting(int fd);
// Resets those: nobody is left who could accept them. Returns how many there were.
int reset_waiting(int fd);

}  // namespace sb::supervise
