// What BuildCache took, told to those who check it.
#include <algorithm>
#include <unordered_map>

#include "cache/build_state.h"

namespace sb::cache {

std::vector<Hit> BuildCache::hits() {
  State& state = *state_;
  std::vector<Hit> hits;
  hits.reserve(state.edges.size());
  std::unordered_map<const PlannedEdge*, std::size_t> numbers;
  for (const PlannedEdge& edge : state.edges) {
    const auto outputs = state.manifest.edge(edge.id).explicit_outputs;
    if (edge.verdict != Verdict::hit || outputs.empty()) continue;
    Hit hit{.output = std::string(state.manifest.path(outputs.front())),
            .key = edge.key,
            .outputs = edge.result.outputs,
            .makers = {}};
    const auto add_maker = [&](FileTable::Number input) {
      const auto maker = numbers.find(state.made_by(input));
      if (maker != numbers.end()) hit.makers.push_back(maker->second);
    };
    std::ranges::for_each(edge.facts.inputs, add_maker);
    for (const ActionStore::PathId id : edge.discovered) add_maker(state.by_store_id[id]);
    numbers.emplace(&edge, hits.size());
    hits.push_back(std::move(hit));
  }
  return hits;
}

}  // namespace sb::cache
