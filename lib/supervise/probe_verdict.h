// ProbeVerdict: what a row of answers to one probe means. One bad answer is none, and neither is one good one
// in between: a service that says now yes, now no is not well.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "os/clock.h"

namespace sb::supervise {

class ProbeVerdict {
 public:
  // Bad after so many failures in a row, or when half of the last answers were bad, four times as many; good
  // again after so many successes in a row. Begins as good.
  ProbeVerdict(int failures, int successes) : failures_(failures), successes_(successes) {}

  // A verdict that turned bad again and again needs ever more successes to turn good: twice as many for each
  // time within kMemory but the first, up to kMostDamping times as many.
  static constexpr os::Milliseconds kMemory{300'000};
  static constexpr int kMostDamping = 8;

  // True when the verdict has changed with this answer.
  bool answer(bool good, os::Milliseconds now);
  [[nodiscard]] bool good() const { return good_; }
  // "3 health checks in a row failed", for the last one that made it bad.
  [[nodiscard]] std::string reason(const std::string& check) const;

 private:
  [[nodiscard]] int needed(os::Milliseconds now);
  void note(bool bad);

  int failures_;
  int successes_;
  bool good_ = true;
  int in_a_row_ = 0;        // good ones, while it is bad
  std::uint64_t last_ = 0;  // answers, the newest in the lowest bit; 1: bad
  int known_ = 0;           // of them
  int bad_in_a_row_ = 0;
  std::deque<os::Milliseconds> turned_bad_;
};

}  // namespace sb::supervise
