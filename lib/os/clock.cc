#include "os/clock.h"

namespace sb::os {

using std::chrono::duration_cast;

Milliseconds SystemClock::monotonic() const {
  return duration_cast<Milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

std::int64_t SystemClock::unix_ms() const {
  return duration_cast<Milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace sb::os
