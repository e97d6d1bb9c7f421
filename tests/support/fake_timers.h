// FakeTimers: time that stands still until a test moves it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "os/event_loop.h"

namespace sb::tests {

class FakeClock final : public os::Clock {
 public:
  [[nodiscard]] os::Milliseconds monotonic() const override { return now_; }
  [[nodiscard]] std::int64_t unix_ms() const override { return kEpoch + now_.count(); }
  void advance(os::Milliseconds by) { now_ += by; }

 private:
  static constexpr std::int64_t kEpoch = 1'763'600'000'000;  // a Thursday in November 2025
  os::Milliseconds now_{1'000};
};

class FakeTimers final : public os::Timers {
 public:
  [[nodiscard]] os::Watch after(os::Milliseconds delay, std::function<void()> callback) override;
  [[nodiscard]] const os::Clock& clock() const override { return clock_; }

  // Moves the clock from timer to timer and calls each at its time, also those set on the way.
  void advance(os::Milliseconds by);
  [[nodiscard]] std::size_t pending() const { return timers_->size(); }

 private:
  using Key = std::pair<os::Milliseconds, std::uint64_t>;
  using Pending = std::map<Key, std::function<void()>>;
  FakeClock clock_;
  std::uint64_t next_ = 0;
  std::shared_ptr<Pending> timers_ = std::make_shared<Pending>();
};

}  // namespace sb::tests
