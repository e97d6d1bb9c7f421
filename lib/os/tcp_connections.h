// What the TCP connections of a process wait for, seen from outside of it: sock_diag(7) of the kernel.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include <sys/types.h>

namespace sb::os {

// Accepted connections at one of these local ports, of the process or of one that descends from it, in which
// the other side spoke last: something that it sent is not read, or not answered, or it has not got all of
// the answer. That is what whoever ends the process now would cut off. 0 as well when the host does not tell.
// Question and answer within a tick of the kernel (a few milliseconds) cannot be told apart by their times,
// and count for a second. Takes about a millisecond per thousand connections of the host. Thread-safe.
[[nodiscard]] int unanswered_connections(pid_t process, std::span<const std::uint16_t> ports);

// Whether one of these connections, which must still be there, was asked and has answered within the last
// `within`. False as well when the host does not tell.
[[nodiscard]] bool answers_connections(pid_t process, std::span<const std::uint16_t> ports,
                                       std::chrono::milliseconds within);

}  // namespace sb::os
