#include "base/on_threads.h"

#include <atomic>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sb {
namespace {

TEST(OnThreads, each_piece_is_done_once) {
  for (const std::size_t count : {0U, 1U, 7U, 1000U}) {
    for (const std::size_t fewest : {0U, 1U, 100U, 5000U}) {
      std::vector<std::atomic<int>> done(count);
      on_threads(count, fewest, [&](std::size_t i) { ++done[i]; });
      for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
    }
  }
}

}  // namespace
}  // namespace sb
