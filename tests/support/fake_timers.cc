#include "support/fake_timers.h"

#include <algorithm>

namespace sb::tests {

os::Watch FakeTimers::after(os::Milliseconds delay, std::function<void()> callback) {
  const Key key{clock_.monotonic() + std::max(delay, os::Milliseconds{0}), next_++};
  timers_->emplace(key, std::move(callback));
  return os::Watch([key, timers = std::weak_ptr(timers_)] {
    const std::shared_ptr<Pending> pending = timers.lock();
    // Taken out first: destroying the callback may cancel further timers.
    if (pending) const auto removed = pending->extract(key);
  });
}

void FakeTimers::advance(os::Milliseconds by) {
  const os::Milliseconds end = clock_.monotonic() + by;
  while (!timers_->empty() && timers_->begin()->first.first <= end) {
    const auto due = timers_->extract(timers_->begin());
    clock_.advance(due.key().first - clock_.monotonic());
    due.mapped()();
  }
  clock_.advance(end - clock_.monotonic());
}

}  // namespace sb::tests
