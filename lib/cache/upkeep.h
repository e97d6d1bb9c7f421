// Upkeep of the build cache: counting, verifying, and keeping it below a size.
#pragma once

#include <cstdint>
#include <functional>

#include "artifacts/output_pool.h"
#include "base/result.h"
#include "cache/action_store.h"

namespace sb::cache {

struct Holdings {
  std::int64_t results = 0;
  std::int64_t apart = 0;  // of them, usable only by the cycle that made them
  std::int64_t objects = 0;
  std::uint64_t bytes = 0;  // of the objects; files that build folders share are counted once
};
// Lists the pool's files: about 1 µs each.
[[nodiscard]] Result<Holdings> holdings(ActionStore& store, const artifacts::OutputPool& pool);

struct Checked {
  std::int64_t objects = 0;
  std::int64_t damaged = 0;  // set aside: the next build makes them again
};
// Reads every object.
[[nodiscard]] Result<Checked> verify(const artifacts::OutputPool& pool);

struct Pruned {
  std::int64_t results = 0;
  std::int64_t objects = 0;
  std::uint64_t bytes = 0;
};
// Drops the results that were not used for longest until the objects take at most `limit` bytes. What the
// last hour's builds and the builds of cycles that `keeps` holds used stays, whatever it takes. Objects that
// no result names go, too, as input lists and paths do that none needs, and what was set aside; one younger
// than an hour may belong to a build that still runs.
[[nodiscard]] Result<Pruned> prune(ActionStore& store, const artifacts::OutputPool& pool, std::uint64_t limit,
                                   std::int64_t now_ms, const std::function<bool(std::int64_t owner)>& keeps);

}  // namespace sb::cache
