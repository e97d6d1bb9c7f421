// The part of Parser that reads build statements.
#include <algorithm>

#include <fmt/format.h>

#include "ninja/parser.h"

namespace sb::ninja {

Status Parser::edge() {
  const char* const place = lexer_.token_start();
  EdgeRecord edge;
  edge.scope = scope_;
  for (std::vector<Text>& paths : paths_) paths.clear();
  SB_CHECK(paths_into(EdgeRecord::outputs));
  if (lexer_.accept(Token::pipe)) SB_CHECK(paths_into(EdgeRecord::implicit_outputs));
  if (paths_[EdgeRecord::outputs].empty() && paths_[EdgeRecord::implicit_outputs].empty())
    return no("expected a path");
  SB_CHECK(expect(Token::colon));
  SB_CHECK(edge_rule(edge));
  SB_CHECK(paths_into(EdgeRecord::inputs));
  if (lexer_.accept(Token::pipe)) SB_CHECK(paths_into(EdgeRecord::implicit_inputs));
  if (lexer_.accept(Token::pipe_pipe)) SB_CHECK(paths_into(EdgeRecord::order_only));
  if (lexer_.accept(Token::pipe_at)) SB_CHECK(paths_into(EdgeRecord::validations));
  SB_CHECK(expect(Token::newline));
  SB_CHECK(edge_bindings(edge));
  const Rule& rule = graph_.rules[edge.rule];
  if (rule.cyclic && is_cyclic(graph_, rule, &edge, reading_.expansion))
    return reading_.expansion.exhausted()
               ? too_large(place)
               : no(fmt::format("the variables of rule '{}' name each other", rule.name), place);
  SB_CHECK(edge_pool(edge, place));
  SB_CHECK(edge_nodes(edge));
  SB_CHECK(edge_dyndep(edge, place));
  graph_.edges.push_back(edge);
  return {};
}

Status Parser::paths_into(EdgeRecord::Group group) {
  while (true) {
    const std::optional<Text> path = lexer_.path();
    if (!path) return fail(lexer_.error());
    if (path->raw.empty()) return {};
    paths_[group].push_back(*path);
  }
}

Status Parser::edge_rule(EdgeRecord& edge) {
  const std::string_view name = lexer_.identifier();
  if (name.empty()) return no("expected a rule's name");
  const std::uint32_t* const rule = graph_.find_rule(scope_, name);
  if (rule == nullptr) return no(fmt::format("unknown rule '{}'", name));
  edge.rule = *rule;
  return {};
}

Status Parser::edge_bindings(EdgeRecord& edge) {
  edge.first_binding = static_cast<std::uint32_t>(graph_.bindings.size());
  while (lexer_.accept(Token::indent)) {
    SB_TRY(const Binding read, binding());
    SB_TRY(const std::string_view value, kept_value(read.value));
    graph_.bindings.push_back({.name = read.name, .value = value});
    ++edge.binding_count;
  }
  return {};
}

Status Parser::edge_pool(const EdgeRecord& edge, const char* place) {
  SB_TRY(const std::string pool, edge_value(edge, "pool", true, place));
  if (!reading_.pools.contains(pool)) return no(fmt::format("unknown pool '{}'", pool), place);
  return {};
}

Status Parser::edge_nodes(EdgeRecord& edge) {
  const auto id = static_cast<EdgeId>(graph_.edges.size());
  edge.first_node = static_cast<std::uint32_t>(graph_.edge_nodes.size());
  for (std::size_t group = 0; group < paths_.size(); ++group) {
    for (const Text& text : paths_[group]) {
      SB_TRY(const NodeId read, node(text, &edge));
      if (group <= EdgeRecord::implicit_outputs) {
        if (graph_.producers[read] != kNoEdge)
          return no(fmt::format("multiple rules generate {}", graph_.nodes.name(read)), text.place());
        graph_.producers[read] = id;
      } else if (group <= EdgeRecord::order_only) {
        graph_.is_input[read] = true;
      }
      graph_.edge_nodes.push_back(read);
    }
    edge.counts[group] = static_cast<std::uint32_t>(paths_[group].size());
  }
  drop_own_output(edge);
  return {};
}

// CMake 2.8.12 and 3.0 write "build a: phony a"; Ninja warns, and takes the input away. It does not count the
// order-only inputs anew: they are still the last ones, and as many as they were.
void Parser::drop_own_output(EdgeRecord& edge) {
  auto& counts = edge.counts;
  if (edge.rule != kPhonyRule || counts[EdgeRecord::outputs] != 1 ||
      counts[EdgeRecord::implicit_outputs] != 0 || counts[EdgeRecord::implicit_inputs] != 0)
    return;
  std::vector<NodeId>& all = graph_.edge_nodes;
  const auto inputs = all.begin() + edge.first_node + 1;
  const auto end = inputs + counts[EdgeRecord::inputs] + counts[EdgeRecord::order_only];
  const auto kept_end = std::remove(inputs, end, all[edge.first_node]);
  if (kept_end == end) return;
  const auto kept = static_cast<std::uint32_t>(kept_end - inputs);
  all.erase(kept_end, end);
  if (counts[EdgeRecord::order_only] > kept) counts[EdgeRecord::order_only] = 0;
  counts[EdgeRecord::inputs] = kept - counts[EdgeRecord::order_only];
}

// Ninja reads the dyndep file before the edge, and so wants it among the edge's inputs.
Status Parser::edge_dyndep(const EdgeRecord& edge, const char* place) {
  SB_TRY(const std::string file, edge_value(edge, "dyndep", false, place));
  if (file.empty()) return {};
  const NodeId wanted = graph_.intern(file, false);
  for (const NodeId input : graph_.all_inputs(edge)) {
    if (input == wanted) return {};
  }
  return no(fmt::format("dyndep '{}' is not an input", file), place);
}

}  // namespace sb::ninja
