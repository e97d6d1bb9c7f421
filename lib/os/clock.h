// Clock: the seam through which everything asks for the time, so that tests can move it.
#pragma once

#include <chrono>
#include <cstdint>

namespace sb::os {

using Milliseconds = std::chrono::milliseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic, for durations and deadlines; does not jump with the wall clock.
  [[nodiscard]] virtual Milliseconds monotonic() const = 0;
  // Milliseconds since 1970-01-01T00:00Z, for records that people read.
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Milliseconds monotonic() const override;
  [[nodiscard]] std::int64_t unix_ms() const override;
};

}  // namespace sb::os
