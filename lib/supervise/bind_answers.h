// BindAnswers: what makes a program that never heard of LISTEN_FDS take the conductor's sockets. It calls
// bind for an address that its manifest declares, and gets the conductor's listening socket under the same
// descriptor number, at once (os/bind_filter.h); the listen that follows does nothing, since its backlog is
// ours. All other binds go to the kernel.
//
// What the program set on its own socket before is lost with it, but O_NONBLOCK and FD_CLOEXEC; so is its
// place in an epoll set. It must not call shutdown(2) on a listening socket: that would shut ours.
//
// On the event loop only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "os/bind_filter.h"
#include "supervise/listening_sockets.h"

namespace sb::supervise {

class BindAnswers {
 public:
  BindAnswers(Surroundings& around, std::string service, ListeningSockets& sockets)
      : around_(around), service_(std::move(service)), sockets_(sockets) {}

  // From now on the calls of this instance, and of all that it starts, are answered, until none is left. Its
  // listener is in the vault on return.
  void begin(std::int64_t instance, const ServiceSpec& spec, Side side, UniqueFd listener);
  // The same after a restart of the conductor, with the listener that is in the vault, if there is one.
  void recover(std::int64_t instance, const ServiceSpec& spec, Side side);
  void drop_all();

 private:
  struct Asked {
    UniqueFd listener;
    ServiceSpec spec;
    Side side = Side::a;
    os::Watch watch;
  };
  [[nodiscard]] std::string vault_name(std::int64_t instance) const;
  void watch(std::int64_t instance, Asked asked);
  void answer_next(std::int64_t instance);
  [[nodiscard]] bool answer(const Asked& asked, const os::BindCall& call);
  void log(const std::string& text) const;

  Surroundings& around_;
  std::string service_;
  ListeningSockets& sockets_;
  std::map<std::int64_t, Asked> asked_;  // by instance
};

}  // namespace sb::supervise
