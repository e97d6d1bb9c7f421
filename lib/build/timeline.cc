#include "build/timeline.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace sb::build {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

microseconds Timeline::since_begin(Clock::time_point time) const {
  return before_ + duration_cast<microseconds>(time - began_);
}

void Timeline::add_phase(std::string name, Clock::time_point start) {
  phases_.push_back({.name = std::move(name),
                     .start = since_begin(start),
                     .took = duration_cast<microseconds>(Clock::now() - start)});
}

void Timeline::begin_with(std::string name, microseconds took) {
  for (Phase& phase : phases_) phase.start += took;
  for (RanEdge& edge : edges_) {
    edge.start += duration_cast<milliseconds>(took);
    edge.end += duration_cast<milliseconds>(took);
  }
  before_ += took;
  phases_.insert(phases_.begin(), {.name = std::move(name), .start = microseconds(0), .took = took});
}

void Timeline::add_edges(Clock::time_point start, const ninja::BuildLog& before,
                         const ninja::BuildLog& after) {
  // An edge has an entry for each of its outputs: the same command at the same time.
  std::map<std::tuple<std::int32_t, std::int32_t, std::uint64_t>, std::string> ran;
  for (const auto& [output, entry] : after.entries) {
    const auto known = before.entries.find(output);
    if (known != before.entries.end() && known->second == entry) continue;
    std::string& name = ran[{entry.start_ms, entry.end_ms, entry.command_hash}];
    // The shortest: CMake has an absolute name of each output, too.
    if (name.empty() || std::tuple(output.size(), output) < std::tuple(name.size(), name)) name = output;
  }
  const auto begin = duration_cast<milliseconds>(since_begin(start));
  edges_.reserve(edges_.size() + ran.size());
  for (const auto& [when, output] : ran) {
    const auto& [start_ms, end_ms, command] = when;
    edges_.push_back(
        {.output = output, .start = begin + milliseconds(start_ms), .end = begin + milliseconds(end_ms)});
  }
}

std::vector<RanEdge> Timeline::slowest(std::size_t most) const {
  std::vector<RanEdge> sorted = edges_;
  std::ranges::sort(sorted, {}, [](const RanEdge& edge) {
    return std::pair(edge.start - edge.end, std::string_view(edge.output));  // the longest first
  });
  if (sorted.size() > most) sorted.resize(most);
  return sorted;
}

}  // namespace sb::build
