#include "update/cache_upkeep.h"

#include <sys/stat.h>

#include "os/file_system.h"

namespace sb::update {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

bool has_files(history::History& history, std::int64_t owner) {
  const auto cycle = history.cycle(owner);
  if (!cycle || !cycle->version) return false;
  const auto version = history.version(cycle->project, *cycle->version);
  return version && version->state == history::VersionState::known_good && !version->outputs.empty();
}

}  // namespace

Result<cache::Pruned> prune_cache(const os::Home& home, history::History& history, std::uint64_t limit,
                                  std::int64_t now_ms) {
  SB_TRY(cache::ActionStore store, cache::ActionStore::open(home.build_cache() / "actions.db"));
  const artifacts::OutputPool pool(home.build_cache() / "outputs");
  return cache::prune(store, pool, limit, now_ms,
                      [&](std::int64_t owner) { return has_files(history, owner); });
}

Status prune_cache_daily(const os::Home& home, history::History& history, std::int64_t now_ms) {
  const auto stamp = home.build_cache() / "pruned";
  struct stat info{};
  if (::stat(stamp.c_str(), &info) == 0 && std::int64_t{info.st_mtim.tv_sec} * 1000 > now_ms - kDayMs)
    return {};
  if (const auto pruned = prune_cache(home, history, kCacheBytes, now_ms); !pruned)
    return fail(pruned.error());
  return os::RealFileSystem().write_durably(stamp, "", 0644);
}

}  // namespace sb::update
