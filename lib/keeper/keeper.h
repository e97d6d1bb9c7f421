// The keeper: the process above the conductor. It starts the conductor, starts it again when it dies, keeps
// descriptors for it meanwhile (listening sockets, so that no connection is refused), and reaps the services
// that a dead conductor left behind, to tell the next one how they ended. It knows nothing else, so that it
// has no reason to die itself: no database, no JSON, and no memory allocated once it runs.
//
// Each conductor inherits one end of a SOCK_SEQPACKET pair, its number in KEEPER_FD (see keeper_link.h).
// Messages:
//
//   keeper → conductor   have NAME (+ descriptor) …, then once: end        what the conductor before left
//                        exited PID STATUS                                 as from waitpid(2)
//   conductor → keeper   put NAME (+ descriptor), drop NAME
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace sb::keeper {

inline constexpr const char* kVariable = "KEEPER_FD";
inline constexpr std::size_t kMaxName = 63;  // bytes of a descriptor's name
inline constexpr std::size_t kMaxHeld = 128;
// Exit code of a conductor that must not be started again, since it would only end the same way (EX_CONFIG):
// a usage error, or another conductor has this home. Honoured at the first start only: one that could start
// before is tried again, since giving up would close the sockets over a disk that is full for a moment.
inline constexpr int kGiveUp = 78;

struct KeeperSpec {
  std::vector<std::string> conductor;  // its command; the program is looked up in PATH
  // How long to wait before the first, second, … restart in a row; the last one repeats.
  std::array<std::chrono::milliseconds, 4> delays{
      std::chrono::milliseconds{0}, std::chrono::milliseconds{100}, std::chrono::milliseconds{500},
      std::chrono::milliseconds{2000}};
  std::chrono::milliseconds good_run{
      60'000};  // a conductor that ran this long counts as well: back to the first delay
};

// Runs until the conductor ends with code 0, or with kGiveUp at its first start, or after SIGTERM or SIGINT,
// which are passed on to it. Returns the code to exit with. Takes over the process: its signals, its
// children, its environment; call it from the only thread. Errors: environment, before the first start.
[[nodiscard]] Result<int> run_keeper(const KeeperSpec& spec);

}  // namespace sb::keeper
