// Result<T> and the two macros that pass an Error up. std::expected without its monadic members, because
// libstdc++ 12 does not have them.
#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace sb {

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string what, std::string next = {}) {
  return std::unexpected(make_error(kind, std::move(what), std::move(next)));
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

// Names what was being done in the error of a result, and leaves a good result alone.
template <typename T>
[[nodiscard]] Result<T> doing(std::string line, Result<T> result) {
  if (!result) result.error().while_doing.push_back(std::move(line));
  return result;
}

}  // namespace sb

#define SB_CONCAT_INNER(a, b) a##b
#define SB_CONCAT(a, b) SB_CONCAT_INNER(a, b)
// SB_TRY(Stage stage, staging.apply(plan)): declares and fills, or returns the error of the expression.
#define SB_TRY(declaration, ...)                                                \
  auto SB_CONCAT(sb_result_, __LINE__) = (__VA_ARGS__);                         \
  if (!SB_CONCAT(sb_result_, __LINE__)) {                                       \
    return std::unexpected(std::move(SB_CONCAT(sb_result_, __LINE__)).error()); \
  }                                                                             \
  declaration = *std::move(SB_CONCAT(sb_result_, __LINE__))
// SB_CHECK(file.sync()): for a Result whose value is not needed.
#define SB_CHECK(...)                                                       \
  do {                                                                      \
    auto sb_result_ = (__VA_ARGS__);                                        \
    if (!sb_result_) return std::unexpected(std::move(sb_result_).error()); \
  } while (false)
