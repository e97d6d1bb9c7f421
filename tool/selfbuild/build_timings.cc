#include "tool/selfbuild/build_timings.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::tool {
namespace {

constexpr std::size_t kMostEdges = 10;

std::chrono::milliseconds rounded(std::chrono::microseconds time) {
  return std::chrono::round<std::chrono::milliseconds>(time);
}

}  // namespace

std::string build_timings(const build::BuildReport& report) {
  std::string text = "where the time went:\n";
  for (const build::Phase& phase : report.timeline.phases())
    text += fmt::format("  {:>11}  {}\n", human_duration(rounded(phase.took)), phase.name);
  const std::vector<build::RanEdge> slowest = report.timeline.slowest(kMostEdges);
  if (!slowest.empty()) text += "the slowest that ninja ran:\n";
  for (const build::RanEdge& edge : slowest)
    text += fmt::format("  {:>11}  {}\n", human_duration(edge.end - edge.start), edge.output);
  text += fmt::format("saved by the cache:\n  {:>11}  {} of {} edges\n", human_duration(report.saved),
                      report.edges_cached, report.edges_total);
  return text;
}

Json build_timings_json(const build::BuildReport& report) {
  Json phases = Json::array();
  for (const build::Phase& phase : report.timeline.phases())
    phases.push_back({{"name", phase.name}, {"start_us", phase.start.count()}, {"us", phase.took.count()}});
  Json slowest = Json::array();
  for (const build::RanEdge& edge : report.timeline.slowest(kMostEdges)) {
    slowest.push_back(
        {{"output", edge.output}, {"start_ms", edge.start.count()}, {"ms", (edge.end - edge.start).count()}});
  }
  return {{"phases", std::move(phases)},
          {"slowest", std::move(slowest)},
          {"saved_ms", report.saved.count()},
          {"edges_cached", report.edges_cached}};
}

}  // namespace sb::tool
