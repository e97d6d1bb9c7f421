// What makes a new version worse than the live one.
#include "activation/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sb::activation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Tally tally(int served, int failed, int us = 1'000) {
  return {.served = served,
          .failed = failed,
          .took = std::vector(static_cast<std::size_t>(served), std::chrono::microseconds(us)),
          .last_failure = failed > 0 ? "answered 503" : ""};
}

TEST(Tally, takes_the_nearest_rank) {
  Tally one;
  EXPECT_EQ(one.quantile_ms(0.99), 0);
  for (int i = 1; i <= 100; ++i) one.took.emplace_back(i * 1'000);
  EXPECT_EQ(one.quantile_ms(0.5), 50);
  EXPECT_EQ(one.quantile_ms(0.99), 99);
  EXPECT_EQ(one.quantile_ms(1), 100);
}

TEST(Objection, has_nothing_against_one_that_does_as_well) {
  EXPECT_THAT(objection(tally(100, 0), tally(100, 0)), IsEmpty());
  EXPECT_THAT(objection(tally(100, 10), tally(100, 10)), IsEmpty());
  EXPECT_THAT(objection(tally(0, 0), tally(0, 0)), IsEmpty());
}

TEST(Objection, forgives_one_failure_and_two_points) {
  EXPECT_THAT(objection(tally(100, 0), tally(9, 1)), IsEmpty());
  EXPECT_THAT(objection(tally(1'000, 0), tally(980, 20)), IsEmpty());
}

TEST(Objection, names_the_failures_of_one_that_fails_more_often) {
  EXPECT_EQ(objection(tally(100, 0), tally(97, 3)),
            "3 of 100 requests failed, of the live version 0 of 100: answered 503");
}

TEST(Objection, compares_latency_with_some_slack) {
  EXPECT_THAT(objection(tally(100, 0, 1'000), tally(100, 0, 6'900)), IsEmpty());
  EXPECT_THAT(objection(tally(100, 0, 1'000), tally(100, 0, 7'100)),
              HasSubstr("median 7.1 ms, of the live version 1.0 ms"));
  Tally tail = tally(98, 0);
  tail.served = 100;
  tail.took.insert(tail.took.end(), 2, std::chrono::microseconds(24'000));
  EXPECT_THAT(objection(tally(100, 0), tail), HasSubstr("p99 24.0 ms, of the live version 1.0 ms"));
}

TEST(ReceiptJson, has_every_figure) {
  Receipt receipt;
  receipt.before = tally(10, 0);
  receipt.during = tally(89, 1, 2'000);
  receipt.longest_gap_ms = 7;
  receipt.mode = "steered";
  receipt.canary.push_back({.service = "web", .percent = 5, .live = tally(20, 0), .fresh = tally(20, 0)});
  const Json json = to_json(receipt);
  EXPECT_EQ(json["served"], 99);
  EXPECT_EQ(json["failed"], 1);
  EXPECT_EQ(json["longest_gap_ms"], 7);
  EXPECT_EQ(json["before"]["p99_ms"], 1.0);
  EXPECT_EQ(json["during"]["p99_ms"], 2.0);
  EXPECT_EQ(json["canary"][0]["new"]["served"], 20);
}

}  // namespace
}  // namespace sb::activation
