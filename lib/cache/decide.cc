// Which edges need not run: a walk over the graph from the sources to the targets, one look-up an edge.
#include <algorithm>

#include <fmt/format.h>

#include "base/on_threads.h"
#include "cache/build_state.h"

namespace sb::cache {
namespace {

constexpr std::size_t kFewestToFind = 50;  // edges whose objects are worth a thread

std::int64_t time_of(const struct stat& info) {
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

class Decider {
 public:
  explicit Decider(BuildCache::State& state) : state_(state) {}

  Status run() {
    if (!state_.remembered) SB_CHECK(recall());
    SB_CHECK(read_lists());
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::refused) continue;
      SB_CHECK(decide(edge));
      if (edge.verdict == Verdict::hit) SB_CHECK(promise(edge));
    }
    return {};
  }

 private:
  // What the last build of this graph left, as far as nothing of it is gone.
  Status recall() {
    ResultsMemo& memo = state_.remembered.emplace();
    SB_TRY(state_.removed, state_.store.removed());
    const auto bytes = state_.memo_name.empty() ? std::nullopt : state_.memos.load(state_.results_name());
    auto found = bytes ? results_memo_from(*bytes) : std::nullopt;
    if (!found || found->removed != state_.removed || found->edges.size() != state_.edges.size()) return {};
    memo = *std::move(found);
    std::vector<FileTable::Number> sources;
    for (auto& [id, path] : memo.paths) {
      const FileTable::Number file = state_.keys.file(state_.normal.here(path));
      state_.note_number(id, file);
      state_.store.know_path(id, std::move(path));
      if (state_.is_source(file)) sources.push_back(file);
    }
    on_threads(memo.edges.size(), kFewestToFind, [&](std::size_t i) { find_objects(memo.edges[i]); });
    return state_.files.know(sources);
  }

  void find_objects(ResultsMemo::Edge& edge) const {
    edge.object_ns.reserve(edge.result.outputs.size());
    for (const Output& output : edge.result.outputs) {
      const auto object = has_bytes(output) ? state_.pool.find(output.id) : std::nullopt;
      if (has_bytes(output) && !object) edge.known = false;
      edge.object_ns.push_back(object ? time_of(*object) : 0);
    }
  }

  // Null: the store is asked. Not to be moved from: with a remote, decisions are made twice.
  [[nodiscard]] const ResultsMemo::Edge* last_of(const PlannedEdge& edge) const {
    if (state_.remembered->edges.empty()) return nullptr;
    const ResultsMemo::Edge& last =
        state_.remembered->edges[static_cast<std::size_t>(&edge - state_.edges.data())];
    return last.known ? &last : nullptr;
  }

  // What each edge read when it last ran: very likely what it would read now.
  Status read_lists() {
    std::vector<FileTable::Number> files;
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::refused || !edge.facts.discovers) continue;
      if (const ResultsMemo::Edge* last = last_of(edge)) {
        edge.list = last->list;
        edge.discovered = last->discovered;
        continue;
      }
      SB_TRY(edge.lists, lists_of(edge.facts));
      if (edge.lists.empty()) continue;
      SB_CHECK(read_list(edge, edge.lists.front()));
      for (const ActionStore::PathId id : edge.discovered) {
        SB_TRY(const FileTable::Number file, state_.number_of(id));
        if (state_.is_source(file)) files.push_back(file);
      }
    }
    return state_.files.know(files);
  }

  Status read_list(PlannedEdge& edge, ActionStore::ListId list) {
    SB_TRY(edge.discovered, state_.store.list(list));
    edge.list = list;
    return {};
  }

  // Those of runs elsewhere first.
  Result<std::vector<ActionStore::ListId>> lists_of(const EdgeFacts& facts) {
    SB_TRY(std::vector<ActionStore::ListId> own, state_.store.lists_of(facts.action));
    if (!facts.portable) return own;
    SB_TRY(std::vector<ActionStore::ListId> lists, state_.store.lists_of(*facts.portable));
    std::ranges::copy_if(own, std::back_inserter(lists), [seen = lists](ActionStore::ListId list) {
      return std::ranges::find(seen, list) == seen.end();
    });
    return lists;
  }

  Status decide(PlannedEdge& edge) {
    edge.verdict = Verdict::miss;
    edge.reach = Reach::nobody;
    edge.why.clear();
    edge.can_say_more = false;
    edge.was_remembered = false;
    edge.newest_input_ns = 0;
    for (const FileTable::Number input : edge.facts.inputs) {
      if (waits_for(edge, input)) return {};
      SB_TRY(const FileTable::Known* known, state_.files.known(input));
      edge.newest_input_ns = std::max(edge.newest_input_ns, known->mtime_ns);
    }
    if (!edge.facts.discovers) return look_up(edge, {});
    ActionStore::ListId tried = 0;
    if (last_of(edge) != nullptr) {
      tried = edge.list;
      SB_CHECK(try_list(edge));
      if (edge.verdict != Verdict::miss) return {};
      SB_TRY(edge.lists, lists_of(edge.facts));
    }
    if (edge.lists.empty())
      set_general_reason(edge, "this command never ran with these tools and file names");
    for (const ActionStore::ListId list : edge.lists) {
      if (list == tried) continue;
      if (list != edge.list) SB_CHECK(read_list(edge, list));
      SB_CHECK(try_list(edge));
      if (edge.verdict != Verdict::miss) return {};
    }
    return {};
  }

  [[nodiscard]] std::string made_by_this_build(FileTable::Number file) const {
    return fmt::format("{} is made by this build", state_.request.places.shown(state_.files.path(file)));
  }

  // The newest list's reason counts.
  static void set_general_reason(PlannedEdge& edge, std::string_view why) {
    if (!edge.why.empty()) return;
    edge.why = why;
    edge.can_say_more = true;
  }

  // An input that is yet to be made has no content to compare.
  bool waits_for(PlannedEdge& edge, FileTable::Number input) {
    const PlannedEdge* maker = state_.made_by(input);
    if (maker == nullptr || state_.is_there(*maker, edge)) return false;
    edge.verdict = Verdict::waits;
    edge.why = made_by_this_build(input);
    return true;
  }

  Status try_list(PlannedEdge& edge) {
    read_.clear();
    std::int64_t newest = edge.newest_input_ns;
    for (const ActionStore::PathId id : edge.discovered) {
      SB_TRY(const FileTable::Number number, state_.number_of(id));
      if (const PlannedEdge* maker = state_.made_by(number);
          maker != nullptr && !state_.is_there(*maker, edge)) {
        if (edge.why.empty()) edge.why = made_by_this_build(number);
        return {};
      }
      SB_TRY(const FileTable::Known* known, state_.files.known(number));
      newest = std::max(newest, known->mtime_ns);
      read_.push_back(number);
    }
    SB_CHECK(look_up(edge, read_));
    if (edge.verdict == Verdict::hit) edge.newest_input_ns = newest;
    return {};
  }

  Status look_up(PlannedEdge& edge, const std::vector<FileTable::Number>& discovered) {
    std::optional<Key> portable;
    std::optional<Key> own;
    // The result of the last build again?
    if (const ResultsMemo::Edge* last = last_of(edge)) {
      const bool everywhere = last->portable && edge.facts.portable;
      std::optional<Key>& key = everywhere ? portable : own;
      SB_TRY(key, result_key(edge, everywhere ? *edge.facts.portable : edge.facts.action, discovered));
      if (!key) return {};
      if (*key == last->key) {
        take_again(edge, *last, everywhere ? Reach::everywhere : reach_of_own());
        return {};
      }
    }
    if (edge.facts.portable) {
      if (!portable) {
        SB_TRY(portable, result_key(edge, *edge.facts.portable, discovered));
      }
      if (!portable) return {};
      SB_CHECK(find(edge, *portable));
      if (edge.verdict == Verdict::hit) edge.reach = Reach::everywhere;
      if (edge.verdict != Verdict::miss) return {};
    }
    if (!own) {
      SB_TRY(own, result_key(edge, edge.facts.action, discovered));
    }
    if (!own) return {};
    SB_CHECK(find(edge, *own));
    if (edge.verdict == Verdict::hit) edge.reach = reach_of_own();
    return {};
  }

  // Of a result that was found by the edge's own action.
  [[nodiscard]] Reach reach_of_own() const {
    return state_.normal.is_needed() ? Reach::at_this_path : Reach::everywhere;
  }

  // Nothing: the edge is refused.
  Result<std::optional<Key>> result_key(PlannedEdge& edge, const Key& action,
                                        const std::vector<FileTable::Number>& discovered) {
    SB_TRY(EdgeKeys::Named named, state_.keys.result_key(edge.facts, action, discovered));
    if (named.refusal.empty()) return named.key;
    edge.verdict = Verdict::refused;
    edge.why = std::move(named.refusal);
    return std::nullopt;
  }

  static void take_again(PlannedEdge& edge, const ResultsMemo::Edge& last, Reach reach) {
    edge.verdict = Verdict::hit;
    edge.reach = reach;
    edge.why.clear();
    edge.key = last.key;
    edge.result = last.result;
    edge.object_ns = last.object_ns;
    edge.was_remembered = true;
  }

  Status find(PlannedEdge& edge, const Key& key) {
    SB_TRY(std::optional<ActionResult> result, state_.store.result(key, state_.request.owner));
    if (!result) {
      set_general_reason(edge, "an input has other contents than in any run before");
      return {};
    }
    edge.object_ns.clear();
    for (Output& output : result->outputs) {
      output.path = state_.normal.here(output.path);
      output.link = state_.normal.here(output.link);
      const auto object = has_bytes(output) ? state_.pool.find(output.id) : std::nullopt;
      if (has_bytes(output) && !object && !state_.arriving.contains(output.id)) {
        edge.why = fmt::format("the stored bytes of {} are gone", output.path);
        edge.can_say_more = false;
        return {};
      }
      edge.object_ns.push_back(object ? time_of(*object) : 0);
    }
    edge.verdict = Verdict::hit;
    edge.why.clear();
    edge.key = key;
    edge.result = *std::move(result);
    return {};
  }

  // What depends on a hit may be one: its outputs are as good as there.
  Status promise(const PlannedEdge& edge) {
    for (std::size_t i = 0; i < edge.result.outputs.size(); ++i) {
      const Output& output = edge.result.outputs[i];
      const FileTable::Number file = file_of(edge, i);
      if (output.kind == Output::Kind::symlink) {
        SB_CHECK(promise_link(file, output));
      } else {
        state_.files.promise(file, output.id.digest, output_time(edge, i),
                             state_.pool.path_of(output.id).string());
      }
    }
    return {};
  }

  // Nearly always the one that the graph names at that place.
  FileTable::Number file_of(const PlannedEdge& edge, std::size_t output) {
    const std::string& path = edge.result.outputs[output].path;
    const std::vector<FileTable::Number>& named = edge.facts.outputs;
    const bool same = output < named.size() && state_.files.path(named[output]) == path;
    return same ? named[output] : state_.keys.file(path);
  }

  Status promise_link(FileTable::Number file, const Output& output) {
    const std::string folder = state_.files.path(file).substr(0, state_.files.path(file).rfind('/'));
    const FileTable::Number target = state_.files.number(Places::absolute(output.link, folder));
    SB_TRY(const FileTable::Known* known, state_.files.known(target));
    state_.files.promise(file, known->digest, known->mtime_ns, {});
    return {};
  }

  // A copy is as old as its newest input, a shared file as old as it is.
  [[nodiscard]] static std::int64_t output_time(const PlannedEdge& edge, std::size_t output) {
    if (edge.result.outputs[output].kind != Output::Kind::shared) return edge.newest_input_ns;
    return std::max(edge.object_ns[output], edge.newest_input_ns);
  }

  BuildCache::State& state_;
  std::vector<FileTable::Number> read_;  // by the edge that is decided about
};

}  // namespace

Status decide(BuildCache::State& state) {
  return Decider(state).run();
}

}  // namespace sb::cache
