// Golden files: what a wrong text is shown as, and what may differ from run to run.
#include "support/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace sb::tests {
namespace {

using testing::HasSubstr;

TEST(Golden, passes_text_that_is_the_file) {
  expect_golden("support/two_lines.txt", "first\nsecond\n");
}

TEST(Golden, shows_the_lines_that_differ_and_the_command_that_accepts_them) {
  EXPECT_NONFATAL_FAILURE(expect_golden("support/two_lines.txt", "first\nother\n"), "-second\n+other\n");
  EXPECT_NONFATAL_FAILURE(expect_golden("support/two_lines.txt", "first\nother\n"), "SELFBUILD_ACCEPT=1 ");
}

TEST(Golden, fails_when_there_is_no_file_yet) {
  EXPECT_NONFATAL_FAILURE(expect_golden("support/missing.txt", "text\n"), "there is no golden file");
}

TEST(Golden, difference_is_empty_for_equal_texts) {
  EXPECT_EQ(difference("a\nb\n", "a\nb\n"), "");
}

TEST(Golden, difference_keeps_three_equal_lines_around) {
  EXPECT_EQ(difference("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nnew\n6\n7\n8\n9\n"),
            "@@ from line 5 @@\n 2\n 3\n 4\n-5\n+new\n 6\n 7\n 8\n");
}

TEST(Golden, difference_shows_an_added_line_at_the_end) {
  EXPECT_EQ(difference("1\n", "1\n2\n"), "@@ from line 2 @@\n 1\n+2\n");
}

TEST(Golden, difference_names_a_missing_newline) {
  EXPECT_THAT(difference("1\n", "1"), HasSubstr("only the newline at the end differs"));
}

TEST(Golden, normalises_what_differs_from_run_to_run) {
  EXPECT_EQ(normalised("took 1.5 s, then 12 ms, then 2 min 05 s; pid 4711 at 127.0.0.1:40123"),
            "took <duration>, then <duration>, then <duration>; pid <pid> at 127.0.0.1:<port>");
  EXPECT_EQ(normalised("at 2026-11-20T05:15:24Z commit 0123456789abcdef0123456789abcdef01234567"),
            "at <time> commit <commit>");
}

TEST(Golden, normalises_the_longest_name_first) {
  EXPECT_EQ(normalised("/tmp/x/home and /tmp/x", {{"/tmp/x", "<folder>"}, {"/tmp/x/home", "<home>"}}),
            "<home> and <folder>");
}

TEST(Golden, leaves_durations_as_a_manifest_writes_them) {
  EXPECT_EQ(normalised("interval: 10s"), "interval: 10s");
}

}  // namespace
}  // namespace sb::tests
