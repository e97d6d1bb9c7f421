#include "ninja/graph.h"

#include <algorithm>

namespace sb::ninja {
namespace {

// Whether canonical_path() may change it; most paths are canonical as they are written.
bool may_change(std::string_view path) {
  char before = '/';
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (before == '/' && (c == '.' || (c == '/' && i > 0))) return true;
    before = c;
  }
  return before == '/';
}

template <typename T>
const T* find_in(const std::unordered_map<std::string_view, T, NameHash>& map, std::string_view name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

std::optional<std::size_t> rule_variable(std::string_view name) {
  for (std::size_t i = 0; i < kRuleVariables.size(); ++i) {
    if (kRuleVariables[i] == name) return i;
  }
  return std::nullopt;
}

std::string canonical_path(std::string_view path) {
  if (path.empty()) return {};
  const bool absolute = path.front() == '/';
  std::string out(absolute ? "/" : "");
  std::size_t removable = 0;  // names at the end of out that a ".." takes away
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name.empty() || name == ".") continue;
    if (name == ".." && removable > 0) {
      const std::size_t slash = out.rfind('/');
      out.resize(slash == std::string::npos ? 0 : slash == 0 ? 1 : slash);
      --removable;
      continue;
    }
    if (!out.empty() && out.back() != '/') out += '/';
    out += name;
    removable += name == ".." ? 0 : 1;
  }
  if (absolute && out.size() == 1) return {};  // what Ninja makes of "/"
  return out.empty() ? "." : out;
}

Graph::Graph() {
  rules.push_back(Rule{.name = "phony", .variables = {}});
  scopes.emplace_back();
  scopes[kTopScope].rules.emplace("phony", kPhonyRule);
}

NodeId Graph::intern(std::string_view path, bool stable) {
  std::string canonical;
  if (may_change(path)) {
    canonical = canonical_path(path);
    stable = stable && canonical == path;
    if (!stable) path = canonical;
  }
  const NodeId node = nodes.intern(path, [&](std::string_view v) { return stable ? v : arena.keep(v); });
  if (node == producers.size()) {
    producers.push_back(kNoEdge);
    is_input.push_back(false);
  }
  return node;
}

std::span<const NodeId> Graph::nodes_of(const EdgeRecord& edge, EdgeRecord::Group group) const {
  std::size_t first = edge.first_node;
  for (std::size_t i = 0; i < group; ++i) first += edge.counts[i];
  return {edge_nodes.data() + first, edge.counts[group]};
}

std::span<const NodeId> Graph::all_outputs(const EdgeRecord& edge) const {
  return {edge_nodes.data() + edge.first_node,
          edge.counts[EdgeRecord::outputs] + edge.counts[EdgeRecord::implicit_outputs]};
}

std::span<const NodeId> Graph::all_inputs(const EdgeRecord& edge) const {
  return {nodes_of(edge, EdgeRecord::inputs).data(), edge.counts[EdgeRecord::inputs] +
                                                         edge.counts[EdgeRecord::implicit_inputs] +
                                                         edge.counts[EdgeRecord::order_only]};
}

const std::string_view* Graph::find_variable(std::uint32_t scope, std::string_view name) const {
  for (; scope != Scope::kNone; scope = scopes[scope].parent) {
    if (const std::string_view* value = find_in(scopes[scope].variables, name)) return value;
  }
  return nullptr;
}

const std::uint32_t* Graph::find_rule(std::uint32_t scope, std::string_view name) const {
  for (; scope != Scope::kNone; scope = scopes[scope].parent) {
    if (const std::uint32_t* rule = find_in(scopes[scope].rules, name)) return rule;
  }
  return nullptr;
}

const std::string_view* Graph::find_binding(const EdgeRecord& edge, std::string_view name) const {
  for (std::size_t i = edge.binding_count; i-- > 0;) {  // the last of a name counts
    const Binding& binding = bindings[edge.first_binding + i];
    if (binding.name == name) return &binding.value;
  }
  return nullptr;
}

}  // namespace sb::ninja
