// Cron expressions: five fields (minute hour day-of-month month day-of-week) as crontab(5) of Vixie cron
// reads them, with names, ranges, lists and steps; and the words @hourly @daily @midnight @nightly (03:00)
// @weekly @monthly
// @yearly @annually. Local time.
#pragma once

#include <bitset>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "base/result.h"

namespace sb {

class Cron {
 public:
  // usage, naming the field, for anything that crontab(5) would not take.
  [[nodiscard]] static Result<Cron> parse(std::string_view text);

  [[nodiscard]] bool matches(const std::tm& local) const;
  // The first matching minute after this second, as seconds since the epoch; 0 when there is none within five
  // years
  // ("0 0 30 2 *"). A minute that the clocks skip in spring does not match; one that they repeat matches
  // twice.
  [[nodiscard]] std::int64_t next_after(std::int64_t unix_seconds) const;

 private:
  [[nodiscard]] bool day_matches(const std::tm& local) const;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1…31
  std::bitset<13> months_;   // 1…12
  std::bitset<8> weekdays_;  // 0…6, Sunday is 0
  bool any_day_ = false;     // the field was "*": then the other one alone decides
  bool any_weekday_ = false;
};

}  // namespace sb
