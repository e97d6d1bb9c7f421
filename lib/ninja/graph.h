// Graph: what a Manifest is made of. Flat vectors and views into the text that was read, because a graph of
// 100,000 edges must load in a fraction of a second. Private to lib/ninja.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "base/name_table.h"
#include "ninja/lexer.h"
#include "ninja/manifest.h"

namespace sb::ninja {

template <typename T>
using ByName = std::unordered_map<std::string_view, T, NameHash>;

// The variables that a rule may set: Ninja's reserved names.
inline constexpr std::array<std::string_view, 11> kRuleVariables = {
    "command", "depfile", "deps",    "description",     "dyndep",          "generator",
    "pool",    "restat",  "rspfile", "rspfile_content", "msvc_deps_prefix"};
[[nodiscard]] std::optional<std::size_t> rule_variable(std::string_view name);  // its index

struct Rule {
  std::string_view name;
  std::array<Text, kRuleVariables.size()> variables;  // evaluated for each edge
  std::array<bool, kRuleVariables.size()> set{};
  bool cyclic = false;  // some of its variables name each other, so that an edge of it may have no value
};
inline constexpr std::uint32_t kPhonyRule = 0;

// A file that `subninja` read, or the top. An included file shares the scope of the one that includes it.
struct Scope {
  std::uint32_t parent = kNone;
  ByName<std::string_view> variables;
  ByName<std::uint32_t> rules;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
};
inline constexpr std::uint32_t kTopScope = 0;

struct Binding {
  std::string_view name;
  std::string_view value;
};

struct EdgeRecord {
  std::uint32_t rule = kPhonyRule;
  std::uint32_t scope = kTopScope;
  std::uint32_t first_binding = 0;  // in Graph::bindings
  std::uint32_t binding_count = 0;
  std::uint32_t first_node = 0;  // in Graph::edge_nodes, group after group
  enum Group : std::uint8_t { outputs, implicit_outputs, inputs, implicit_inputs, order_only, validations };
  std::array<std::uint32_t, 6> counts{};
};

class Graph {
 public:
  Graph();
  std::vector<std::unique_ptr<const std::string>> texts;
  std::vector<std::string> files;
  Arena arena;                    // of paths that no text holds in this form
  NameTable nodes;                // by path
  std::vector<EdgeId> producers;  // by node
  std::vector<bool> is_input;     // by node: some edge reads it
  std::vector<EdgeRecord> edges;
  std::vector<NodeId> edge_nodes;
  std::vector<Binding> bindings;
  std::vector<Rule> rules;
  std::vector<Scope> scopes;
  std::vector<NodeId> defaults;

  // The node of a path that may have to be made canonical first. stable: a view into a text.
  [[nodiscard]] NodeId intern(std::string_view path, bool stable);
  [[nodiscard]] std::span<const NodeId> nodes_of(const EdgeRecord& edge, EdgeRecord::Group group) const;
  [[nodiscard]] std::span<const NodeId> all_outputs(const EdgeRecord& edge) const;
  [[nodiscard]] std::span<const NodeId> all_inputs(const EdgeRecord& edge) const;

  // As seen from a scope: its own, then those around it. Null: there is none.
  [[nodiscard]] const std::string_view* find_variable(std::uint32_t scope, std::string_view name) const;
  [[nodiscard]] const std::uint32_t* find_rule(std::uint32_t scope, std::string_view name) const;
  [[nodiscard]] const std::string_view* find_binding(const EdgeRecord& edge, std::string_view name) const;
};

}  // namespace sb::ninja
