// Tables and paragraphs: what stays aligned, what is cut, and where lines break.
#include "tool/selfbuild/table.h"

#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>

namespace sb::tool {
namespace {

TEST(Table, aligns_cells_and_leaves_no_blanks_at_the_end) {
  Table table({{"NAME"}, {"SIZE", Table::Align::right}, {"NOTE"}});
  table.add({"a", "7", ""});
  table.add({"longer", "1234", "x"});
  EXPECT_EQ(table.render(0),
            "NAME    SIZE  NOTE\n"
            "a          7\n"
            "longer  1234  x\n");
}

TEST(Table, counts_code_points_and_not_the_bytes_of_styles) {
  Table table({{"A"}, {"B"}});
  table.add({"\x1b[32mgrün\x1b[0m", "x"});
  table.add({"plain", "y"});
  EXPECT_EQ(table.render(80), "A      B\n\x1b[32mgrün\x1b[0m   x\nplain  y\n");
}

TEST(Table, cuts_a_line_that_is_too_long_for_the_terminal) {
  Table table({{"A"}, {"REASON"}});
  table.add({"a", "0123456789"}, "a note that is long");
  EXPECT_EQ(table.render(10), "A  REASON\na  012345…\n      a n…\n");
}

TEST(Table, takes_the_style_off_a_line_that_has_to_be_cut) {
  Table table({{"A"}, {"B"}});
  table.add({"\x1b[32mgreen\x1b[0m", "0123456789"});
  EXPECT_EQ(table.render(10), "A      B\ngreen  01…\n");
}

TEST(Table, keeps_every_line_whole_without_a_terminal) {
  Table table({{"A"}});
  table.add({std::string(300, 'x')});
  EXPECT_EQ(table.render(0), "A\n" + std::string(300, 'x') + "\n");
}

TEST(Wrapped, breaks_at_blanks_and_keeps_long_words) {
  EXPECT_EQ(wrapped("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrapped("0123456789 x", 4), (std::vector<std::string>{"0123456789", "x"}));
  EXPECT_EQ(wrapped("", 4), (std::vector<std::string>{""}));
}

TEST(Paragraph, hangs_its_lines_below_the_first) {
  EXPECT_EQ(paragraph("  label  ", "one two three four five six seven", 32),
            "  label  one two three four five\n"
            "         six seven\n");
}

void use_zone(const char* zone) {
  ::setenv("TZ", zone, 1);
  ::tzset();
}

TEST(Times, are_short_within_the_year_and_a_date_in_others) {
  use_zone("UTC");
  constexpr std::int64_t kMoment = 1'795'065'324'000;  // 2026-11-19T05:15:24Z
  constexpr std::int64_t kYear = 365LL * 86'400'000;
  EXPECT_EQ(local_time(kMoment), "2026-11-19 05:15:24");
  EXPECT_EQ(short_time(kMoment, kMoment + 1), "11-19 05:15");
  EXPECT_EQ(short_time(kMoment, kMoment + kYear), "2026-11-19");
  use_zone("UTC-5:30");
  EXPECT_EQ(local_time(kMoment), "2026-11-19 10:45:24");
  use_zone("UTC");
}

TEST(Times, say_an_age_with_the_two_units_that_matter) {
  EXPECT_EQ(age(-5), "0 s");
  EXPECT_EQ(age(59'999), "59 s");
  EXPECT_EQ(age(3'599'000), "59 min");
  EXPECT_EQ(age(2 * 3'600'000 + 5 * 60'000), "2 h 05 min");
  EXPECT_EQ(age(9LL * 86'400'000), "9 days");
}

}  // namespace
}  // namespace sb::tool
