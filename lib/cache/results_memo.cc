#include "cache/results_memo.h"

#include <limits>
#include <unordered_map>

#include "cache/wire.h"

namespace sb::cache {
namespace {

constexpr std::size_t kKeyBytes = 16;

// Lists name paths by their position: small numbers are short.
void put_edge(std::string& to, const ResultsMemo::Edge& edge,
              const std::unordered_map<ActionStore::PathId, std::size_t>& positions) {
  put_number(to, edge.known ? 1 : 0);
  if (!edge.known) return;
  put_number(to, static_cast<std::uint64_t>(edge.list));
  put_number(to, edge.discovered.size());
  for (const ActionStore::PathId id : edge.discovered) put_number(to, positions.at(id));
  to += edge.key.bytes();
  put_number(to, edge.portable ? 1 : 0);
  put_text(to, to_bytes(edge.result.outputs));
  put_text(to, edge.result.printed);
  put_number(to, static_cast<std::uint64_t>(edge.result.took_ms));
}

}  // namespace

std::string to_bytes(const ResultsMemo& memo) {
  std::string bytes;
  put_number(bytes, static_cast<std::uint64_t>(memo.removed));
  put_number(bytes, memo.paths.size());
  std::unordered_map<ActionStore::PathId, std::size_t> positions;
  for (const auto& [id, text] : memo.paths) {
    positions.emplace(id, positions.size());
    put_number(bytes, id);
    put_text(bytes, text);
  }
  put_number(bytes, memo.edges.size());
  for (const ResultsMemo::Edge& edge : memo.edges) put_edge(bytes, edge, positions);
  return bytes;
}

std::optional<ResultsMemo> results_memo_from(std::string_view bytes) {
  WireReader wire(bytes);
  // Of things that take at least a byte each.
  const auto count = [&] { return wire.number_up_to(wire.left()); };
  ResultsMemo memo;
  memo.removed = static_cast<std::int64_t>(wire.number());
  memo.paths.resize(count());
  for (auto& [id, text] : memo.paths) {
    id = static_cast<ActionStore::PathId>(wire.number_up_to(std::numeric_limits<ActionStore::PathId>::max()));
    text = wire.text(wire.number());
  }
  memo.edges.resize(count());
  for (ResultsMemo::Edge& edge : memo.edges) {
    edge.known = wire.number() != 0;
    if (!edge.known) continue;
    edge.list = static_cast<ActionStore::ListId>(wire.number());
    edge.discovered.resize(count());
    if (memo.paths.empty() && !edge.discovered.empty()) return std::nullopt;
    for (ActionStore::PathId& id : edge.discovered)
      id = memo.paths[wire.number_up_to(memo.paths.size() - 1)].first;
    edge.key = Key::from_bytes(wire.text(kKeyBytes));
    edge.portable = wire.number() != 0;
    std::optional<std::vector<Output>> outputs = outputs_from(wire.text(wire.number()));
    if (!outputs) return std::nullopt;
    edge.result.outputs = *std::move(outputs);
    edge.result.printed = wire.text(wire.number());
    edge.result.took_ms = static_cast<std::int64_t>(wire.number());
  }
  if (!wire.ok() || !wire.at_end()) return std::nullopt;
  return memo;
}

}  // namespace sb::cache
