// How tests look at a Result: the value, or a failure that prints the whole error.
#pragma once

#include <gtest/gtest.h>

#include "base/result.h"

// ASSERT_OK(auto value, call()): declares value, or fails the test with the error's text.
#define ASSERT_OK(declaration, ...)                                   \
  auto SB_CONCAT(sb_result_, __LINE__) = (__VA_ARGS__);               \
  ASSERT_TRUE(SB_CONCAT(sb_result_, __LINE__).has_value())            \
      << ::sb::format_error(SB_CONCAT(sb_result_, __LINE__).error()); \
  declaration = *std::move(SB_CONCAT(sb_result_, __LINE__))
#define ASSERT_GOOD(...)                                                           \
  do {                                                                             \
    const auto sb_result_ = (__VA_ARGS__);                                         \
    ASSERT_TRUE(sb_result_.has_value()) << ::sb::format_error(sb_result_.error()); \
  } while (false)
#define EXPECT_ERROR(error_kind, ...)                                                           \
  do {                                                                                          \
    const auto sb_result_ = (__VA_ARGS__);                                                      \
    EXPECT_FALSE(sb_result_.has_value());                                                       \
    if (!sb_result_) {                                                                          \
      EXPECT_EQ(sb_result_.error().kind, error_kind) << ::sb::format_error(sb_result_.error()); \
    }                                                                                           \
  } while (false)
