// Manifest: Ninja's build graph, as build.ninja and the files it includes describe it
// (https://ninja-build.org/manual.html, "Ninja file reference"). Read, never written. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/key.h"
#include "base/result.h"

namespace sb::ninja {

// Numbers of nodes (files) and edges (commands) of one manifest, counted from 0.
using NodeId = std::uint32_t;
using EdgeId = std::uint32_t;
inline constexpr EdgeId kNoEdge = ~EdgeId{0};

// Views into the manifest, valid as long as it lives.
struct Edge {
  std::string_view rule;
  std::span<const NodeId> explicit_outputs;
  std::span<const NodeId> implicit_outputs;
  std::span<const NodeId> explicit_inputs;
  std::span<const NodeId> implicit_inputs;
  std::span<const NodeId> order_only_inputs;
  std::span<const NodeId> validations;
  [[nodiscard]] bool is_phony() const { return rule == "phony"; }
};

class Graph;  // private to this folder

class Manifest {
 public:
  // Reads `file` of the folder in which Ninja would run, and what it includes. Linear in its size.
  // Errors: not_found; corrupt (what is not a manifest: "build.ninja:12: expected '='"); refused over
  // 1 GiB of text or of what variables expand to, over 64 nested files, or written for a Ninja after 1.11.
  [[nodiscard]] static Result<Manifest> load(const std::filesystem::path& folder,
                                             std::string_view file = "build.ninja");
  Manifest(Manifest&&) noexcept;
  Manifest& operator=(Manifest&&) noexcept;
  ~Manifest();

  [[nodiscard]] std::size_t edge_count() const;
  [[nodiscard]] Edge edge(EdgeId edge) const;
  [[nodiscard]] std::size_t node_count() const;
  [[nodiscard]] std::string_view path(NodeId node) const;  // as Ninja canonicalises it
  [[nodiscard]] std::optional<NodeId> find(std::string_view canonical_path) const;
  [[nodiscard]] EdgeId producer(NodeId node) const;             // kNoEdge: a source
  [[nodiscard]] std::span<const NodeId> defaults() const;       // `default` statements; empty: every root
  [[nodiscard]] const std::vector<std::string>& files() const;  // build.ninja and what it includes
  [[nodiscard]] Key digest() const;                             // of all that those files say
  [[nodiscard]] std::string_view builddir() const;  // where the logs lie, from the top scope; often empty

  // A variable of an edge, evaluated as Ninja would for it: "command", "depfile", "deps", "rspfile",
  // "rspfile_content", "restat", "generator", "dyndep", "description", "pool". Empty when it is not set, or
  // over 64 MiB, which no program could be started with.
  [[nodiscard]] std::string value(EdgeId edge, std::string_view variable) const;
  // What Ninja's log keeps a hash of: the command, and the response file's content when there is one.
  [[nodiscard]] std::string logged_command(EdgeId edge) const;

  // Every edge that a build of these targets may run, each once, an edge after the edges that make its inputs
  // (also order-only). Empty targets: the defaults, else all roots. not_found names an unknown target;
  // corrupt names a cycle.
  [[nodiscard]] Result<std::vector<EdgeId>> needed(std::span<const std::string> targets) const;

 private:
  explicit Manifest(std::unique_ptr<Graph> graph);
  std::unique_ptr<Graph> graph_;
};

// Ninja's canonical form of a path: no ".", no "x/..", no doubled slash; a leading ".." stays.
[[nodiscard]] std::string canonical_path(std::string_view path);

}  // namespace sb::ninja
