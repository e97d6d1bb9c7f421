// What BuildCache knows of one build; shared by its two halves, take.cc and keep.cc. Private to this folder.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "cache/build_cache.h"
#include "cache/edge_keys.h"
#include "cache/file_table.h"
#include "cache/memo_files.h"
#include "cache/normal_form.h"
#include "cache/results_memo.h"
#include "cache/stage_listing.h"
#include "ninja/manifest.h"

namespace sb::cache {

struct PlannedEdge {
  ninja::EdgeId id = ninja::kNoEdge;
  EdgeFacts facts;
  bool shares_outputs = false;  // by hard link: nothing rewrites them in place
  Verdict verdict = Verdict::miss;
  Reach reach = Reach::nobody;  // of its result, taken or kept
  std::string why;
  bool can_say_more = false;                    // a miss whose reason explain_misses() may find
  std::vector<ActionStore::ListId> lists;       // of inputs that it ever discovered, newest first
  ActionStore::ListId list = 0;                 // the one that was looked at last; of a hit, its own
  std::vector<ActionStore::PathId> discovered;  // what that one says
  // Of a hit:
  Key key;
  ActionResult result;
  std::vector<std::int64_t> object_ns;  // by output: how old its stored bytes are
  std::int64_t newest_input_ns = 0;
  bool was_remembered = false;  // nothing was asked of the store
};

struct BuildCache::State {
  State(ActionStore& actions, const artifacts::OutputPool& outputs, BuildCacheRequest asked,
        ninja::Manifest graph, StageListing files_there);

  ActionStore& store;
  const artifacts::OutputPool& pool;
  BuildCacheRequest request;
  NormalForm normal;
  ninja::Manifest manifest;
  StageListing listing;
  MemoFiles memos;
  FileTable files;
  Toolbox tools;
  EdgeKeys keys;
  std::vector<PlannedEdge> edges;        // in build order
  std::vector<std::uint32_t> positions;  // in `edges`, by number of the edge; kNotNeeded: it is not there
  static constexpr std::uint32_t kNotNeeded = ~std::uint32_t{0};
  std::string memo_name;                  // of this graph; empty: nothing is remembered
  std::optional<ResultsMemo> remembered;  // what the last build of it left; its edges are those of `edges`
  std::int64_t removed = 0;               // of the store, when decisions began
  std::vector<FileTable::Number> by_store_id;  // of paths of the store; kUnknown: it was not asked for
  static constexpr FileTable::Number kUnknown = ~FileTable::Number{0};
  std::vector<EdgeVerdict> verdicts;
  std::int64_t began_ns = 0;  // when Ninja might start, by the file systems' clock
  std::unordered_map<FileTable::Number, std::string> placed;  // of hits' outputs: what lstat(2) said then
  // What the remote has promised and not brought yet: as good as in the pool, but for who reads it.
  std::set<artifacts::PooledId> arriving;

  [[nodiscard]] std::string results_name() const { return memo_name + ".results"; }
  [[nodiscard]] const PlannedEdge* made_by(FileTable::Number file) const;
  // Whether what `maker` makes is there for deciding about `user`, whose compiler may read it for includes.
  [[nodiscard]] bool is_there(const PlannedEdge& maker, const PlannedEdge& user) const;
  // The number of a path of the store.
  [[nodiscard]] Result<FileTable::Number> number_of(ActionStore::PathId id);
  void note_number(ActionStore::PathId id, FileTable::Number file);
  [[nodiscard]] bool is_source(FileTable::Number file) const;  // of the stage, and nobody makes it
  [[nodiscard]] Status know_sources(const std::vector<ninja::EdgeId>& needed);
  void forget_outputs();  // before another decide()
  void publish_verdicts();
};

// Says another thing of a file that was written to; the same when a link to it came or went.
[[nodiscard]] std::string state_text(const struct stat& info);

// Takes, in one attempt, all that can be taken. False: a stored output was damaged; it is set aside and
// everything placed was removed, so another attempt decides without it.
[[nodiscard]] Result<bool> place_hits(BuildCache::State& state);
[[nodiscard]] Status decide(BuildCache::State& state);
[[nodiscard]] Status write_logs(BuildCache::State& state);

}  // namespace sb::cache
