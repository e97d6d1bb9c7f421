#include "supervise/probe_verdict.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace sb::supervise {
namespace {

constexpr int kMostRemembered = 64;

std::uint64_t lowest(int bits) {
  return bits >= kMostRemembered ? ~std::uint64_t{0} : (std::uint64_t{1} << static_cast<unsigned>(bits)) - 1;
}

}  // namespace

void ProbeVerdict::note(bool bad) {
  last_ = (last_ << 1U) | (bad ? 1U : 0U);
  known_ = std::min(known_ + 1, kMostRemembered);
  bad_in_a_row_ = bad ? bad_in_a_row_ + 1 : 0;
}

bool ProbeVerdict::answer(bool good, os::Milliseconds now) {
  note(!good);
  if (good_) {
    if (good) return false;
    const int window = failures_ * 4;  // more than can be remembered: then only those in a row count
    const bool often = window <= kMostRemembered && known_ >= window &&
                       std::popcount(last_ & lowest(window)) >= failures_ * 2;
    if (bad_in_a_row_ < failures_ && !often) return false;
    good_ = false;
    in_a_row_ = 0;
    turned_bad_.push_back(now);
    return true;
  }
  in_a_row_ = good ? in_a_row_ + 1 : 0;
  if (in_a_row_ < needed(now)) return false;
  good_ = true;
  known_ = 0;  // what made it bad is over
  return true;
}

int ProbeVerdict::needed(os::Milliseconds now) {
  while (!turned_bad_.empty() && now - turned_bad_.front() > kMemory) turned_bad_.pop_front();
  int factor = 1;
  for (std::size_t i = 1; i < turned_bad_.size() && factor < kMostDamping; ++i) factor *= 2;
  return successes_ * factor;
}

std::string ProbeVerdict::reason(const std::string& check) const {
  if (bad_in_a_row_ >= failures_) {
    return bad_in_a_row_ == 1 ? fmt::format("1 {} failed", check)
                              : fmt::format("{} {}s in a row failed", bad_in_a_row_, check);
  }
  return fmt::format("{} of the last {} {}s failed", std::popcount(last_ & lowest(failures_ * 4)),
                     failures_ * 4, check);
}

}  // namespace sb::supervise
