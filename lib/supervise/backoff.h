// RestartBackoff: how long a service that ended waits for its next start. At once the first time, so that a
// single crash costs a millisecond; then ever longer, so that a program that cannot run does not eat the
// machine.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace sb::supervise {

class RestartBackoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kStable{10'000};  // running this long makes the next crash a first one

  [[nodiscard]] Milliseconds next() {
    const Milliseconds delay = kDelays[step_];
    step_ = std::min(step_ + 1, kDelays.size() - 1);
    return delay;
  }
  void reset() { step_ = 0; }

 private:
  static constexpr std::array<Milliseconds, 6> kDelays{Milliseconds(0),    Milliseconds(50),
                                                       Milliseconds(200),  Milliseconds(1000),
                                                       Milliseconds(5000), Milliseconds(30'000)};
  std::size_t step_ = 0;
};

}  // namespace sb::supervise
