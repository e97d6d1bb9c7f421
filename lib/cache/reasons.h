// Why an edge would run, in words that name the input: what its last run saw, compared with what is there
// now. Only for those who ask; no build waits for it. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "cache/build_state.h"

namespace sb::cache {

// What an action consists of, as far as two can be compared: 8 bytes each of its command, of what it
// declares, of the environment and of what is installed. Its tools are the rest.
class ActionParts {
 public:
  explicit ActionParts(const BuildCache::State& state);
  // portable: as of a run whose result builds at any path may use.
  [[nodiscard]] std::vector<std::uint64_t> of(const PlannedEdge& edge, bool portable) const;

 private:
  const BuildCache::State& state_;
  std::vector<std::uint64_t> common_;
};

struct EdgeRun {
  const PlannedEdge& edge;
  Key action;                               // one of the edge's
  std::optional<ActionStore::ListId> list;  // of what it discovered
  Key result;
  std::span<const Sight> sights;
};
// In the store's open transaction.
[[nodiscard]] Status note_run(BuildCache::State& state, const ActionParts& parts, const EdgeRun& run);

// After decide(): a better reason for each miss that has only a general one.
[[nodiscard]] Status explain_misses(BuildCache::State& state);

}  // namespace sb::cache
