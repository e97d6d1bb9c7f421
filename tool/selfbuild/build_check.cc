#include "tool/selfbuild/build_check.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::tool {

std::string check_text(const build::Verified& verified, const build::Sample& sample) {
  if (verified.hits == 0) return "nothing came from the cache, so nothing was verified\n";
  const std::pair<const char*, const std::vector<std::string>*> kinds[] = {
      {"wrong", &verified.wrong},
      {"not reproducible", &verified.unreproducible},
      {"made of these", &verified.made_of_these}};
  std::vector<std::string> counts;
  std::string lines;
  for (const auto& [word, outputs] : kinds) {
    if (!outputs->empty()) counts.push_back(fmt::format("{} {}", outputs->size(), word));
    for (const std::string& output : *outputs) lines += fmt::format("  {:<18}{}\n", word, output);
  }
  return fmt::format(
      "verified {} of {} edges from the cache (seed {}): {}\n{}", verified.checked, verified.hits,
      sample.seed, counts.empty() ? std::string("a build makes the same bytes") : join(counts, ", "), lines);
}

Json check_json(const build::Verified& verified, const build::Sample& sample) {
  return {{"percent", sample.percent},
          {"seed", sample.seed},
          {"hits", verified.hits},
          {"checked", verified.checked},
          {"wrong", verified.wrong},
          {"not_reproducible", verified.unreproducible},
          {"made_of_these", verified.made_of_these}};
}

}  // namespace sb::tool
