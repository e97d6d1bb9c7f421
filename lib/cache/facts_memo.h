// FactsMemo: what the edges of a build graph do, as one build leaves it to the next: a warm build reads no
// command lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/edge_keys.h"
#include "cache/file_table.h"

namespace sb::cache {

struct FactsMemo {
  struct Search {
    std::vector<std::string> folders;
    bool anywhere = false;
  };
  Asked asked;
  std::vector<Search> searches;
  std::vector<EdgeFacts> facts;  // in build order
};

[[nodiscard]] std::string to_bytes(const FactsMemo& memo, const FileTable& files);
// Nothing: these are no such bytes.
[[nodiscard]] std::optional<FactsMemo> facts_memo_from(std::string_view bytes, FileTable& files);

}  // namespace sb::cache
