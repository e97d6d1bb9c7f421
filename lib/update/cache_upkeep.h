// The build cache after a cycle: whose results it keeps, and how large it may get.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cache/upkeep.h"
#include "history/history.h"
#include "os/home.h"

namespace sb::update {

inline constexpr std::uint64_t kCacheBytes = std::uint64_t{20} << 30U;

// Results that builds of versions with files used are not pruned: a roll-back or a fix on top of one builds
// fast.
[[nodiscard]] Result<cache::Pruned> prune_cache(const os::Home& home, history::History& history,
                                                std::uint64_t limit, std::int64_t now_ms);
// The same, to kCacheBytes, when the last time was a day ago or more.
[[nodiscard]] Status prune_cache_daily(const os::Home& home, history::History& history, std::int64_t now_ms);

}  // namespace sb::update
