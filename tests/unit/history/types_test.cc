// The words of the history as people and databases write them.
#include "history/types.h"

#include <set>

#include <gtest/gtest.h>

#include "support/result_matchers.h"

namespace sb::history {
namespace {

TEST(HistoryTypes, names_read_back_with_and_without_their_prefix) {
  EXPECT_EQ(cycle_name(118), "c-118");
  EXPECT_EQ(version_name(3), "v3");
  EXPECT_EQ(parse_cycle("c-118"), 118);
  EXPECT_EQ(parse_cycle("118"), 118);
  EXPECT_EQ(parse_version("v3"), 3);
  EXPECT_EQ(parse_version("3"), 3);
  EXPECT_EQ(parse_cycle("c-9223372036854775807"), INT64_MAX);
}

TEST(HistoryTypes, other_spellings_of_names_are_refused) {
  for (const char* text :
       {"", "c-", "c118", "v3", "c-0", "c--1", "c-1x", " c-1", "c-01", "9223372036854775808"}) {
    EXPECT_ERROR(ErrorKind::usage, parse_cycle(text));
  }
  for (const char* text : {"", "v", "vv3", "c-3", "v0", "v-1", "3.0", "v3 ", "V3", "2147483648"}) {
    EXPECT_ERROR(ErrorKind::usage, parse_version(text));
  }
}

// Reads every word back, and counts the enumerators up to the first value that has no word.
template <typename Word, typename Parse>
int words_that_read_back(Parse parse) {
  std::set<std::string> seen;
  for (int i = 0;; ++i) {
    const std::string text(to_string(static_cast<Word>(i)));
    if (text == "?") return static_cast<int>(seen.size());
    EXPECT_EQ(parse(text), static_cast<Word>(i)) << text;
    EXPECT_TRUE(seen.insert(text).second) << text << " stands for two things";
  }
}

TEST(HistoryTypes, every_word_reads_back) {
  EXPECT_EQ(words_that_read_back<Step>(parse_step), 24);
  EXPECT_EQ(words_that_read_back<BuildStatus>(parse_build_status), 7);
  EXPECT_EQ(words_that_read_back<VersionState>(parse_version_state), 4);
  EXPECT_EQ(words_that_read_back<CycleKind>(parse_cycle_kind), 3);
}

TEST(HistoryTypes, unknown_words_are_corrupt) {
  EXPECT_ERROR(ErrorKind::corrupt, parse_step("Planned"));
  EXPECT_ERROR(ErrorKind::corrupt, parse_build_status(""));
  EXPECT_ERROR(ErrorKind::corrupt, parse_version_state("?"));
  EXPECT_ERROR(ErrorKind::corrupt, parse_cycle_kind("update "));
}

}  // namespace
}  // namespace sb::history
