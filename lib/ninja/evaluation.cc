#include "ninja/evaluation.h"

#include <algorithm>

namespace sb::ninja {
namespace {

// Calls literal(text) and reference(name) for the parts of a text that the lexer has accepted.
template <typename Literal, typename Reference>
void for_each_part(std::string_view text, const Literal& literal, const Reference& reference) {
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    if (dollar > 0) literal(text.substr(0, dollar));
    text.remove_prefix(dollar);
    if (text.size() < 2) return;
    text.remove_prefix(1);
    const char c = text.front();
    if (c == '$' || c == ' ' || c == ':') {
      literal(text.substr(0, 1));
      text.remove_prefix(1);
    } else if (c == '\n' || c == '\r') {
      text.remove_prefix(c == '\r' ? 2 : 1);
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    } else if (c == '{') {
      const std::size_t end = std::min(text.find('}'), text.size() - 1);
      reference(text.substr(1, end - 1));
      text.remove_prefix(end + 1);
    } else {
      std::size_t end = 0;
      while (end < text.size() && is_simple_name_character(text[end])) ++end;
      reference(text.substr(0, end));
      text.remove_prefix(std::max<std::size_t>(end, 1));
    }
  }
}

void append(std::string_view text, Budget& budget, std::string& out) {
  if (budget.spend(text.size())) out += text;
}

bool is_safe_for_shell(char c) {
  return is_name_character(c) || c == '+' || c == '/';
}

void append_quoted(std::string_view path, std::string& out) {
  if (std::ranges::all_of(path, is_safe_for_shell)) {
    out += path;
    return;
  }
  out += '\'';
  for (const char c : path) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  out += '\'';
}

// The value of one variable of an edge, with those that it refers to. Recursion ends: only rule variables
// refer to others when they are evaluated, there are few, and load() has refused cycles.
class EdgeEvaluation {
 public:
  EdgeEvaluation(const Graph& graph, const EdgeRecord& edge, bool quote, Budget& budget, std::string& out)
      : graph_(graph),
        edge_(edge),
        rule_(graph.rules[edge.rule]),
        quote_(quote),
        budget_(budget),
        out_(out) {}

  void variable(std::string_view name, std::size_t depth = 0) {
    // Edge bindings are searched one by one.
    if (!budget_.spend(1 + edge_.binding_count) || depth > kRuleVariables.size() + 1) return;
    if (name == "in") return paths(EdgeRecord::inputs, ' ');
    if (name == "in_newline") return paths(EdgeRecord::inputs, '\n');
    if (name == "out") return paths(EdgeRecord::outputs, ' ');
    const std::string_view* own = nullptr;
    if (edge_.binding_count > 0) {
      own = graph_.find_binding(edge_, name);
    } else if (const auto& variables = graph_.scopes[edge_.scope].variables; !variables.empty()) {
      // An edge without bindings has its file's scope for its own: the file then comes before the rule.
      const auto found = variables.find(name);
      own = found == variables.end() ? nullptr : &found->second;
    }
    if (own != nullptr) return append(*own, budget_, out_);
    if (const auto index = rule_variable(name); index && rule_.set[*index]) {
      const std::string_view text = rule_.variables[*index].raw;
      if (!budget_.spend(text.size())) return;
      for_each_part(
          text, [&](std::string_view literal) { out_ += literal; },
          [&](std::string_view reference) { variable(reference, depth + 1); });
      return;
    }
    if (const std::string_view* outer = graph_.find_variable(edge_.scope, name))
      append(*outer, budget_, out_);
  }

 private:
  void paths(EdgeRecord::Group group, char separator) {
    const std::size_t begin = out_.size();
    for (const NodeId node : graph_.nodes_of(edge_, group)) {
      const std::string_view path = graph_.nodes.name(node);
      if (!budget_.spend(4 * path.size() + 3)) return;
      if (out_.size() > begin) out_ += separator;
      if (quote_)
        append_quoted(path, out_);
      else
        out_ += path;
    }
  }

  const Graph& graph_;
  const EdgeRecord& edge_;
  const Rule& rule_;
  bool quote_;
  Budget& budget_;
  std::string& out_;
};

// Depth-first over the variables of a rule: 0 unseen, 1 on the way here, 2 done.
bool reaches_itself(const Graph& graph, const Rule& rule, const EdgeRecord* edge, std::size_t index,
                    std::array<int, kRuleVariables.size()>& marks) {
  const auto hidden = [&](std::size_t i) {
    if (edge == nullptr) return false;
    if (edge->binding_count > 0) return graph.find_binding(*edge, kRuleVariables[i]) != nullptr;
    return graph.scopes[edge->scope].variables.contains(kRuleVariables[i]);
  };
  if (marks[index] != 0) return marks[index] == 1;
  marks[index] = 1;
  bool cycle = false;
  if (rule.set[index] && !hidden(index)) {
    for_each_part(
        rule.variables[index].raw, [](std::string_view) {},
        [&](std::string_view name) {
          const auto next = rule_variable(name);
          cycle = cycle || (next && reaches_itself(graph, rule, edge, *next, marks));
        });
  }
  marks[index] = 2;
  return cycle;
}

}  // namespace

void evaluate(const Graph& graph, Text text, std::uint32_t scope, const EdgeRecord* edge, Budget& budget,
              std::string& out) {
  if (!budget.spend(text.raw.size())) return;
  if (text.plain) {
    out += text.raw;
    return;
  }
  for_each_part(
      text.raw, [&](std::string_view literal) { out += literal; },
      [&](std::string_view name) {
        if (!budget.spend(1 + (edge != nullptr ? edge->binding_count : 0))) return;
        const std::string_view* value = edge != nullptr ? graph.find_binding(*edge, name) : nullptr;
        if (value == nullptr) value = graph.find_variable(scope, name);
        if (value != nullptr) append(*value, budget, out);
      });
}

void evaluate_variable(const Graph& graph, const EdgeRecord& edge, std::string_view name, bool quote,
                       Budget& budget, std::string& out) {
  EdgeEvaluation(graph, edge, quote, budget, out).variable(name);
}

bool is_cyclic(const Graph& graph, const Rule& rule, const EdgeRecord* edge, Budget& budget) {
  for (const Text& text : rule.variables) {
    if (!budget.spend(text.raw.size())) return true;
  }
  std::array<int, kRuleVariables.size()> marks{};
  for (std::size_t i = 0; i < kRuleVariables.size(); ++i) {
    if (reaches_itself(graph, rule, edge, i, marks)) return true;
  }
  return false;
}

}  // namespace sb::ninja
