// BuildCache: one build's use of what was built before. Before Ninja runs, take() puts the outputs of every
// edge whose result is known into the build folder and tells Ninja's logs, so that Ninja sees those edges as
// done and runs the others, unchanged. Afterwards keep() stores what Ninja made.
//
// The build folder must be configured and hold no outputs of an earlier build: sources and configured files
// older than anything that a build makes (kSourceTime). One thread; several processes may share the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/output_pool.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/places.h"
#include "cache/toolbox.h"

namespace sb::cache {

class RemoteTier;

struct BuildCacheRequest {
  Places places;
  std::filesystem::path memos{};         // for what is remembered (memo_files.h); empty: nothing is
  std::vector<std::string> targets;      // empty: Ninja's default
  std::vector<std::string> environment;  // "NAME=value", exactly what the edges' commands get
  std::int64_t owner = 0;  // the cycle that builds an untrusted change; 0: its results are everybody's
  Ask ask;
  std::int64_t now_ms = 0;       // Unix time
  RemoteTier* remote = nullptr;  // not owned; null: this machine's results only
};

enum class Verdict : std::uint8_t { hit, miss, waits, refused };

// Which builds find the result of an edge.
enum class Reach : std::uint8_t { nobody, at_this_path, everywhere };

struct EdgeVerdict {
  std::string output;  // the first one, as the manifest writes it
  Verdict verdict = Verdict::miss;
  std::string why;  // of all but a hit
  Reach reach = Reach::nobody;
};

// A hit, for who wants to check it.
struct Hit {
  std::string output;  // the first one, as the manifest writes it
  Key key;
  std::vector<Output> outputs;
  std::vector<std::size_t> makers;  // among the hits: those whose outputs it reads
};

struct Taken {
  int edges = 0;  // that the targets need, phony ones not counted
  int hits = 0;
  std::int64_t saved_ms = 0;         // what the hits took when they ran
  std::vector<std::string> printed;  // what they printed then: warnings
};

struct Kept {
  int results = 0;
  int refused = 0;  // ran, but their results are not kept
};

class BuildCache {
 public:
  struct State;  // build_state.h
  // Reads build.ninja. environment: Ninja writes logs of another version than ours; the caller builds
  // without.
  [[nodiscard]] static Result<BuildCache> open(ActionStore& store, const artifacts::OutputPool& pool,
                                               BuildCacheRequest request);
  BuildCache(BuildCache&&) noexcept;
  BuildCache& operator=(BuildCache&&) = delete;
  ~BuildCache();

  // Only decides, for verdicts(): nothing is placed.
  [[nodiscard]] Status look();
  [[nodiscard]] Result<Taken> take();
  // `printed` finds what an edge with this description printed while Ninja ran. A file that changed after it
  // was read is no input anybody can name: that edge is left out.
  [[nodiscard]] Result<Kept> keep(const std::function<std::string(std::string_view description)>& printed);

  // In build order, after look() or take(); keep() adds why a result was not kept.
  [[nodiscard]] const std::vector<EdgeVerdict>& verdicts() const;
  // After take(), in build order. What a hit reads is a hit, or no edge makes it.
  [[nodiscard]] std::vector<Hit> hits();

 private:
  explicit BuildCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sb::cache
