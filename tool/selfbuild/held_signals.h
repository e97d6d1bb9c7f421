// HeldSignals: SIGINT and SIGTERM held back while a command shows something until Ctrl-C, so that a wait ends
// on them and the screen is left in order.
#pragma once

#include <chrono>
#include <csignal>
#include <ctime>

namespace sb::tool {

class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  // True when one came within this time (below a second, or one).
  [[nodiscard]] bool came(std::chrono::milliseconds patience = std::chrono::milliseconds(1000)) const {
    const timespec wait{.tv_sec = patience.count() / 1000, .tv_nsec = (patience.count() % 1000) * 1'000'000};
    return ::sigtimedwait(&signals_, nullptr, &wait) > 0;
  }

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

}  // namespace sb::tool
