// ResultsMemo: what became of each edge of a build graph, as one build leaves it to the next: an edge whose
// inputs are the same again asks the store nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/key.h"
#include "cache/action_store.h"

namespace sb::cache {

struct ResultsMemo {
  struct Edge {
    bool known = false;
    ActionStore::ListId list = 0;
    std::vector<ActionStore::PathId> discovered;  // what the list says
    Key key;
    bool portable = false;  // the key is of the portable action
    ActionResult result;
    std::vector<std::int64_t> object_ns{};  // by output; not remembered, but looked at
  };
  std::int64_t removed = 0;  // of the store, then (ActionStore::removed): what it had, it has
  std::vector<std::pair<ActionStore::PathId, std::string>> paths;  // of all lists
  std::vector<Edge> edges;                                         // in build order
};

[[nodiscard]] std::string to_bytes(const ResultsMemo& memo);
// Nothing: these are no such bytes.
[[nodiscard]] std::optional<ResultsMemo> results_memo_from(std::string_view bytes);

}  // namespace sb::cache
