// EdgeKeys, for explanations: what a run saw, input by input, so that a later one can name what changed.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cache/edge_keys.h"

namespace sb::cache {
namespace {

std::uint32_t short_of(const Key& key) {
  return static_cast<std::uint32_t>(key.low);
}

std::uint32_t content_of(const FileTable::Known& known) {
  if (known.type != FileTable::Type::regular) return static_cast<std::uint32_t>(known.type);
  const std::uint32_t content = short_of(known.digest);
  constexpr auto kLast = static_cast<std::uint32_t>(FileTable::Type::other);
  return content > kLast ? content : ~content;
}

}  // namespace

Result<std::vector<Sight>> EdgeKeys::sights(const EdgeFacts& facts,
                                            std::span<const FileTable::Number> discovered) {
  std::vector<Sight> sights;
  sights.reserve(1 + facts.inputs.size() + discovered.size());
  sights.push_back({.content = facts.discovers ? short_of(listing_.links()) : 0});
  std::optional<std::unordered_set<std::string>> includers;
  const std::pair<std::span<const FileTable::Number>, bool> lists[] = {{facts.inputs, false},
                                                                       {discovered, true}};
  for (const auto& [inputs, found] : lists) {
    for (const FileTable::Number input : inputs) {
      SB_TRY(const FileTable::Known* known, files_.known(input));
      Sight& sight = sights.emplace_back(Sight{.content = content_of(*known)});
      if (!facts.discovers) continue;
      SB_TRY(const Surroundings* around, surroundings(searches_[facts.search], input, found));
      sight.around = short_of(around->key);
      if (around->beside.empty() && around->crowded.empty()) continue;
      if (!includers) {
        includers = folders_of(facts.inputs);
        includers->merge(folders_of(discovered));
      }
      sight.around = short_of(key_beside(*around, *includers));
    }
  }
  return sights;
}

// The part of result_key() that is about one file.
Key EdgeKeys::key_beside(const Surroundings& around, const std::unordered_set<std::string>& includers) {
  KeyBuilder key;
  key.add(around.key);
  for (const auto& [folder, rival] : around.beside) {
    if (includers.contains(folder)) normal_.add(key, rival);
  }
  for (const std::string& path : around.crowded) {
    for (const std::string& rival : rivals_in(includers, path)) normal_.add(key, rival);
  }
  return key.finish();
}

std::vector<std::string> EdgeKeys::others(const EdgeFacts& facts,
                                          std::span<const FileTable::Number> discovered,
                                          FileTable::Number file) {
  if (!facts.discovers) return {};
  const Search& search = searches_[facts.search];
  const std::string& path = files_.path(file);
  std::unordered_set<std::string> folders = folders_of(facts.inputs);
  folders.merge(folders_of(discovered));
  folders.insert(search.of_stage.begin(), search.of_stage.end());
  std::vector<std::string> found = rivals_in(folders, path);
  if (search.anywhere) {
    const auto named = listing_.of_name(std::string_view(path).substr(path.rfind('/') + 1));
    found.assign(named.begin(), named.end());
  }
  for (const std::string& folder : search.folders) {
    if (!is_below(path, folder)) continue;
    const std::string_view name = std::string_view(path).substr(folder.size() + 1);
    for (const std::string& other : search.of_host) {
      if (other != folder && host_has(other, name)) found.push_back(fmt::format("{}/{}", other, name));
    }
  }
  std::erase(found, path);
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

}  // namespace sb::cache
