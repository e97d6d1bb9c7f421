#include "base/suggestion.h"

#include <array>

#include <gtest/gtest.h>

namespace sb {
namespace {

const std::array<std::string, 5> kCommands = {"update", "promote", "rollback", "history", "gc"};

TEST(Suggestion, finds_the_word_that_was_meant) {
  EXPECT_EQ(nearest("updaet", kCommands), "update");     // transposed
  EXPECT_EQ(nearest("rolback", kCommands), "rollback");  // left out
  EXPECT_EQ(nearest("promotte", kCommands), "promote");  // doubled
  EXPECT_EQ(nearest("histary", kCommands), "history");   // replaced
  EXPECT_EQ(nearest("cg", kCommands), "gc");
}

TEST(Suggestion, says_nothing_rather_than_nonsense) {
  EXPECT_EQ(nearest("frobnicate", kCommands), std::nullopt);
  EXPECT_EQ(nearest("", kCommands), std::nullopt);
  EXPECT_EQ(nearest("update", {}), std::nullopt);
}

TEST(Suggestion, prefers_the_nearest_and_then_the_first) {
  const std::array<std::string, 3> words = {"stop", "step", "steps"};
  EXPECT_EQ(nearest("steps", words), "steps");
  EXPECT_EQ(nearest("stap", words), "stop");
}

}  // namespace
}  // namespace sb
