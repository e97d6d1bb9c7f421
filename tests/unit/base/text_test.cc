#include "base/text.h"

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb {
namespace {

using std::chrono::milliseconds;

TEST(Text, splits_into_lines_without_inventing_a_last_one) {
  using Lines = std::vector<std::string_view>;
  EXPECT_EQ(split_lines(""), Lines{});
  EXPECT_EQ(split_lines("a"), Lines{"a"});
  EXPECT_EQ(split_lines("a\n"), Lines{"a"});
  EXPECT_EQ(split_lines("a\n\nb"), (Lines{"a", "", "b"}));
  EXPECT_EQ(split_lines("\n"), Lines{""});
}

TEST(Text, splits_at_a_character_and_leaves_empty_parts_out) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(split("", ':'), Parts{});
  EXPECT_EQ(split("a", ':'), Parts{"a"});
  EXPECT_EQ(split(":a::b c:", ':'), (Parts{"a", "b c"}));
}

TEST(Text, trims_blanks_at_both_ends_only) {
  EXPECT_EQ(trim("  a b\r\n"), "a b");
  EXPECT_EQ(trim(" \t\n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, joins_with_separators_between) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "b", "c"}, ", "), "a, b, c");
}

TEST(Text, last_lines_are_the_end_of_a_log) {
  EXPECT_EQ(last_lines("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(last_lines("a\nb", 5), "a\nb\n");
  EXPECT_EQ(last_lines("a\nb", 0), "");
}

TEST(Text, durations_read_in_the_unit_that_fits) {
  EXPECT_EQ(human_duration(milliseconds(12)), "12 ms");
  EXPECT_EQ(human_duration(milliseconds(1500)), "1.5 s");
  EXPECT_EQ(human_duration(milliseconds(125'000)), "2 min 05 s");
}

TEST(Text, sizes_read_in_binary_units) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(3 * 1024 * 1024), "3.0 MiB");
  EXPECT_EQ(human_bytes(std::uint64_t{5} << 40U), "5.0 TiB");
}

TEST(Text, parses_durations_with_and_without_a_unit) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("10s"), milliseconds(10'000));
  EXPECT_EQ(parse_duration("10"), milliseconds(10'000));
  EXPECT_EQ(parse_duration("5m"), milliseconds(300'000));
  EXPECT_EQ(parse_duration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
}

TEST(Text, refuses_what_is_not_a_duration) {
  for (const char* text : {"", "s", "-1s", "+1s", " 1s", "1 s", "1.5s", "1d", "1S", "1ms ", "0x10",
                           "99999999999999999999s", "9223372036854775807h"}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration.has_value()) << "accepted \"" << text << '"';
    EXPECT_EQ(duration.error().kind, ErrorKind::usage);
    EXPECT_EQ(duration.error().found, text);
    EXPECT_FALSE(duration.error().expected.empty());
  }
}

TEST(Text, parses_sizes_in_binary_units) {
  EXPECT_EQ(parse_bytes("512M"), 512U << 20U);
  EXPECT_EQ(parse_bytes("2G"), std::uint64_t{2} << 30U);
  EXPECT_EQ(parse_bytes("64K"), 64U << 10U);
  EXPECT_EQ(parse_bytes("17"), 17U);
  for (const char* text : {"", "M", "-1", "1T", "1MB", "1.5G", "18446744073709551615G"}) {
    EXPECT_ERROR(ErrorKind::usage, parse_bytes(text));
  }
}

TEST(Text, times_are_utc_to_the_second) {
  EXPECT_EQ(iso_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(iso_time(1'000'000'000'999), "2001-09-09T01:46:40Z");
}

TEST(CutToColumns, counts_characters_and_not_bytes) {
  EXPECT_EQ(cut_to_columns("grün", 4), "grün");
  EXPECT_EQ(cut_to_columns("grüner", 4), "grü…");
  EXPECT_EQ(cut_to_columns("a\x1b[2Jb", 80), "a?[2Jb");
  EXPECT_EQ(cut_to_columns("abc", 0), "");
}

}  // namespace
}  // namespace sb
