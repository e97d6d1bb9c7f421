// RestartBackoff: how long a service that ended waits for its next start. At once the first two times, so
// that a crash costs a millisecond; then ever longer, so that a program that cannot run does not eat the
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
  static constexpr double kJitter = 0.1;          // a delay is up to this part longer

  // `random`: from 0 to 1. Services that went down together do not all come back in one moment.
  [[nodiscard]] Milliseconds next(double random) {
    const Milliseconds delay = kDelays[step_];
    step_ = std::min(step_ + 1, kDelays.size() - 1);
    return delay + Milliseconds(
                       static_cast<Milliseconds::rep>(kJitter * random * static_cast<double>(delay.count())));
  }
  void reset() { step_ = 0; }

 private:
  static constexpr std::array<Milliseconds, 7> kDelays{
      Milliseconds(0),    Milliseconds(0),    Milliseconds(50),    Milliseconds(200),
      Milliseconds(1000), Milliseconds(5000), Milliseconds(30'000)};
  std::size_t step_ = 0;
};

}  // namespace sb::supervise
