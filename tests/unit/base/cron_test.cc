// Cases from crontab(5) and its well-known corners.
#include "base/cron.h"

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb {
namespace {

// 2026-11-20 is a Friday.
std::tm at(int month, int day, int weekday, int hour, int minute) {
  std::tm local{};
  local.tm_year = 126;
  local.tm_mon = month - 1;
  local.tm_mday = day;
  local.tm_wday = weekday;
  local.tm_hour = hour;
  local.tm_min = minute;
  return local;
}

struct Case {
  const char* text;
  std::tm time;
  bool matches;
};

TEST(Cron, matches_as_crontab_says) {
  const Case cases[] = {
      {"* * * * *", at(11, 20, 5, 0, 0), true},
      {"5 0 * * *", at(11, 20, 5, 0, 5), true},
      {"5 0 * * *", at(11, 20, 5, 0, 6), false},
      {"15 14 1 * *", at(11, 1, 0, 14, 15), true},
      {"15 14 1 * *", at(11, 2, 1, 14, 15), false},
      {"0 22 * * 1-5", at(11, 20, 5, 22, 0), true},
      {"0 22 * * 1-5", at(11, 21, 6, 22, 0), false},
      {"23 0-23/2 * * *", at(11, 20, 5, 4, 23), true},
      {"23 0-23/2 * * *", at(11, 20, 5, 5, 23), false},
      {"5 4 * * sun", at(11, 22, 0, 4, 5), true},
      {"5 4 * * 7", at(11, 22, 0, 4, 5), true},
      {"0 4 8-14 * *", at(11, 14, 6, 4, 0), true},
      {"*/20 * * * *", at(11, 20, 5, 9, 40), true},
      {"*/20 * * * *", at(11, 20, 5, 9, 41), false},
      {"10/20 * * * *", at(11, 20, 5, 9, 50), true},
      {"10/20 * * * *", at(11, 20, 5, 9, 0), false},
      {"0 0 1,15 * *", at(11, 15, 0, 0, 0), true},
      {"30 4 1,15 * 5", at(11, 20, 5, 4, 30), true},  // both days restricted: a Friday is enough
      {"30 4 1,15 * 5", at(11, 15, 0, 4, 30), true},  // and so is the 15th
      {"30 4 1,15 * 5", at(11, 16, 1, 4, 30), false},
      {"0 0 * JAN-mar *", at(2, 3, 2, 0, 0), true},
      {"0 0 * jan-mar *", at(4, 3, 5, 0, 0), false},
      {"@nightly", at(11, 20, 5, 3, 0), true},
      {"@hourly", at(11, 20, 5, 17, 0), true},
      {"@weekly", at(11, 22, 0, 0, 0), true},
      {"@monthly", at(11, 1, 0, 0, 0), true},
      {"@yearly", at(1, 1, 4, 0, 0), true},
  };
  for (const Case& c : cases) {
    ASSERT_OK(const Cron cron, Cron::parse(c.text));
    EXPECT_EQ(cron.matches(c.time), c.matches) << c.text;
  }
}

TEST(Cron, refuses_what_crontab_would_not_take) {
  for (const char* text :
       {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * * 8", "5-1 * * * *", "*/0 * * * *", "1-2-3 * * * *", "a * * * *", "1,,2 * * * *",
        "@fortnightly", "-1 * * * *", "* * * janu *"}) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(ErrorKind::usage, Cron::parse(text));
  }
}

TEST(Cron, finds_the_next_minute_and_gives_up_on_days_that_never_come) {
  ASSERT_OK(const Cron leap, Cron::parse("0 0 29 2 *"));
  constexpr std::int64_t k2026 = 1'795'132'800;  // 2026-11-20T00:00Z
  const std::time_t next = leap.next_after(k2026);
  std::tm local{};
  ::localtime_r(&next, &local);
  EXPECT_EQ(local.tm_year + 1900, 2028);
  EXPECT_EQ(local.tm_mon, 1);
  EXPECT_EQ(local.tm_mday, 29);
  ASSERT_OK(const Cron never, Cron::parse("0 0 30 2 *"));
  EXPECT_EQ(never.next_after(k2026), 0);
  ASSERT_OK(const Cron minute, Cron::parse("* * * * *"));
  EXPECT_EQ(minute.next_after(k2026), k2026 + 60);
}

}  // namespace
}  // namespace sb
