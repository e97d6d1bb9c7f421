// What a benchmark cannot go on without.
#pragma once

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/result.h"

namespace sb::bench {

template <typename T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "{}", format_error(result.error()));
  std::exit(1);
}

}  // namespace sb::bench
