// What keeper and conductor agree on. The keeper is the process above the conductor (conductor-keeper, see
// keeper.cc); each conductor inherits one end of a SOCK_SEQPACKET pair, its number in KEEPER_FD (see
// keeper_link.h). Messages:
//
//   keeper → conductor   have NAME (+ descriptor) …, then once: end BOOTS DEATHS      what the one before
//   left
//                        exited PID STATUS                                            as from waitpid(2)
//   conductor → keeper   put NAME (+ descriptor), drop NAME
//                        next      starts the current program already, which hears nothing before this
//                                  conductor closes its end, or is dead
//                        stay      ends that one again
#pragma once

#include <cstddef>

namespace sb::keeper {

inline constexpr const char* kVariable = "KEEPER_FD";
inline constexpr std::size_t kMaxName = 63;  // bytes of a descriptor's name
inline constexpr std::size_t kMaxHeld = 128;
// Exit code of a conductor that must not be started again, since it would only end the same way (EX_CONFIG):
// a usage error, or another conductor has this home. Honoured at the first start only: one that could start
// before is tried again, since giving up would close the sockets over a disk that is full for a moment.
inline constexpr int kGiveUp = 78;
// Exit code of a conductor that wants the current program to be started in its place (EX_TEMPFAIL).
inline constexpr int kHandOver = 75;
// A conductor that dies so often in a row, each time within a minute of its start, is given up for the one
// before.
inline constexpr int kMaxDeaths = 3;

// Symlinks to programs in the keeper's folder. It starts `current`; it moves `previous` there, and the other
// one to `rejected`. Without a current one it starts the program that it was given.
inline constexpr const char* kCurrent = "current";
inline constexpr const char* kPrevious = "previous";
inline constexpr const char* kRejected = "rejected";

}  // namespace sb::keeper
