#include "ninja/manifest.h"

#include <algorithm>

#include <fmt/format.h>

#include "ninja/evaluation.h"
#include "ninja/graph.h"
#include "ninja/parser.h"

namespace sb::ninja {
namespace {

// More than any program can be started with, response files included.
constexpr std::size_t kMaxValue = 64UL << 20U;
constexpr std::size_t kShownOfCycle = 16;

// Walks from targets to what they need, deepest first. A stack of its own: a chain may be as long as the
// file.
class Walk {
 public:
  explicit Walk(const Graph& graph) : graph_(graph), marks_(graph.edges.size(), Mark::unseen) {}

  [[nodiscard]] Status visit(NodeId target) {
    enter(target);
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      const EdgeRecord& edge = graph_.edges[frame.edge];
      const auto inputs = graph_.all_inputs(edge);
      if (frame.next == inputs.size()) {
        marks_[frame.edge] = Mark::done;
        order_.push_back(frame.edge);
        for (const NodeId node : graph_.nodes_of(edge, EdgeRecord::validations)) later_.push_back(node);
        stack_.pop_back();
        continue;
      }
      const NodeId input = inputs[frame.next++];
      const EdgeId producer = graph_.producers[input];
      if (producer != kNoEdge && marks_[producer] == Mark::on_stack) return cycle(input);
      enter(input);
    }
    return {};
  }

  // What validates a needed edge is needed as well, but the edge does not wait for it.
  [[nodiscard]] Status visit_validations() {
    while (!later_.empty()) {
      const NodeId node = later_.back();
      later_.pop_back();
      SB_CHECK(visit(node));
    }
    return {};
  }
  [[nodiscard]] std::vector<EdgeId> take() { return std::move(order_); }

 private:
  enum class Mark : std::uint8_t { unseen, on_stack, done };
  struct Frame {
    EdgeId edge;
    NodeId wanted;         // the output that led here
    std::size_t next = 0;  // input
  };
  void enter(NodeId node) {
    const EdgeId edge = graph_.producers[node];
    if (edge == kNoEdge || marks_[edge] != Mark::unseen) return;
    marks_[edge] = Mark::on_stack;
    stack_.push_back({.edge = edge, .wanted = node});
  }
  [[nodiscard]] std::unexpected<Error> cycle(NodeId end) const {
    auto frame = std::ranges::find(stack_, graph_.producers[end], &Frame::edge);
    std::string way(graph_.nodes.name(end));
    std::size_t shown = 1;
    for (++frame; frame != stack_.end(); ++frame) {
      if (++shown > kShownOfCycle) {
        way += " -> …";
        break;
      }
      way += fmt::format(" -> {}", graph_.nodes.name(frame->wanted));
    }
    return fail(ErrorKind::corrupt, fmt::format("dependency cycle: {} -> {}", way, graph_.nodes.name(end)));
  }

  const Graph& graph_;
  std::vector<Mark> marks_;
  std::vector<Frame> stack_;
  std::vector<NodeId> later_;
  std::vector<EdgeId> order_;
};

// What a build without targets makes.
Result<std::vector<NodeId>> default_nodes(const Graph& graph) {
  if (!graph.defaults.empty()) return graph.defaults;
  std::vector<NodeId> roots;
  for (const EdgeRecord& edge : graph.edges) {
    for (const NodeId output : graph.all_outputs(edge)) {
      if (!graph.is_input[output]) roots.push_back(output);
    }
  }
  if (roots.empty() && !graph.edges.empty())
    return fail(ErrorKind::corrupt, "dependency cycle: every output is an input");
  return roots;
}

Result<std::vector<NodeId>> named_nodes(const Graph& graph, std::span<const std::string> targets) {
  std::vector<NodeId> nodes;
  for (const std::string& target : targets) {
    const auto node = graph.nodes.find(canonical_path(target));
    if (!node) return fail(ErrorKind::not_found, fmt::format("unknown target '{}'", target));
    nodes.push_back(*node);
  }
  return nodes;
}

}  // namespace

Manifest::Manifest(std::unique_ptr<Graph> graph) : graph_(std::move(graph)) {}
Manifest::Manifest(Manifest&&) noexcept = default;
Manifest& Manifest::operator=(Manifest&&) noexcept = default;
Manifest::~Manifest() = default;

Result<Manifest> Manifest::load(const std::filesystem::path& folder, std::string_view file) {
  auto graph = std::make_unique<Graph>();
  Reading reading{.graph = *graph, .folder = folder};
  SB_CHECK(Parser::parse(reading, std::string(file), kTopScope, 0));
  return Manifest(std::move(graph));
}

std::size_t Manifest::edge_count() const {
  return graph_->edges.size();
}

Edge Manifest::edge(EdgeId edge) const {
  const EdgeRecord& record = graph_->edges[edge];
  const auto group = [&](EdgeRecord::Group which) { return graph_->nodes_of(record, which); };
  return {.rule = graph_->rules[record.rule].name,
          .explicit_outputs = group(EdgeRecord::outputs),
          .implicit_outputs = group(EdgeRecord::implicit_outputs),
          .explicit_inputs = group(EdgeRecord::inputs),
          .implicit_inputs = group(EdgeRecord::implicit_inputs),
          .order_only_inputs = group(EdgeRecord::order_only),
          .validations = group(EdgeRecord::validations)};
}

std::size_t Manifest::node_count() const {
  return graph_->nodes.size();
}

std::string_view Manifest::path(NodeId node) const {
  return graph_->nodes.name(node);
}

std::optional<NodeId> Manifest::find(std::string_view canonical_path) const {
  return graph_->nodes.find(canonical_path);
}

EdgeId Manifest::producer(NodeId node) const {
  return graph_->producers[node];
}

std::span<const NodeId> Manifest::defaults() const {
  return graph_->defaults;
}

const std::vector<std::string>& Manifest::files() const {
  return graph_->files;
}

Key Manifest::digest() const {
  KeyBuilder key;
  for (const auto& text : graph_->texts) key.add(*text);
  return key.finish();
}

std::string_view Manifest::builddir() const {
  const std::string_view* const value = graph_->find_variable(kTopScope, "builddir");
  return value == nullptr ? std::string_view() : *value;
}

std::string Manifest::value(EdgeId edge, std::string_view variable) const {
  // Files that Ninja itself opens are named as they are; the rest is read by a shell.
  const bool quote = variable != "depfile" && variable != "dyndep" && variable != "rspfile";
  Budget budget(kMaxValue);
  std::string value;
  evaluate_variable(*graph_, graph_->edges[edge], variable, quote, budget, value);
  if (budget.exhausted()) return {};
  return value;
}

std::string Manifest::logged_command(EdgeId edge) const {
  std::string command = value(edge, "command");
  const std::string content = value(edge, "rspfile_content");
  if (!content.empty()) command += ";rspfile=" + content;
  return command;
}

Result<std::vector<EdgeId>> Manifest::needed(std::span<const std::string> targets) const {
  SB_TRY(const std::vector<NodeId> nodes,
         targets.empty() ? default_nodes(*graph_) : named_nodes(*graph_, targets));
  Walk walk(*graph_);
  for (const NodeId node : nodes) SB_CHECK(walk.visit(node));
  SB_CHECK(walk.visit_validations());
  return walk.take();
}

}  // namespace sb::ninja
