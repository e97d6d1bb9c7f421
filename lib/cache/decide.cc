// Which edges need not run: a walk over the graph from the sources to the targets, one look-up an edge.
#include <algorithm>

#include <fmt/format.h>

#include "cache/build_state.h"

namespace sb::cache {
namespace {

class Decider {
 public:
  explicit Decider(BuildCache::State& state) : state_(state) {}

  Status run() {
    SB_CHECK(read_lists());
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::refused) continue;
      SB_CHECK(decide(edge));
      if (edge.verdict == Verdict::hit) SB_CHECK(promise(edge));
    }
    return {};
  }

 private:
  // What each edge read when it last ran: very likely what it would read now.
  Status read_lists() {
    std::vector<FileTable::Number> files;
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::refused || !edge.facts.discovers) continue;
      SB_TRY(edge.lists, state_.store.lists_of(edge.facts.action));
      if (edge.lists.empty()) continue;
      SB_TRY(edge.discovered, state_.store.list(edge.lists.front()));
      for (const ActionStore::PathId id : edge.discovered) {
        if (state_.by_store_id.contains(id)) continue;
        SB_TRY(const FileTable::Number file, number_of(id));
        if (state_.is_source(file)) files.push_back(file);
      }
    }
    return state_.files.know(files);
  }

  Status decide(PlannedEdge& edge) {
    edge.verdict = Verdict::miss;
    edge.why.clear();
    edge.can_say_more = false;
    edge.newest_input_ns = 0;
    for (const FileTable::Number input : edge.facts.inputs) {
      if (waits_for(edge, input)) return {};
      SB_TRY(const FileTable::Known* known, state_.files.known(input));
      edge.newest_input_ns = std::max(edge.newest_input_ns, known->mtime_ns);
    }
    if (!edge.facts.discovers) return look_up(edge, {});
    if (edge.lists.empty())
      set_general_reason(edge, "this command never ran with these tools and file names");
    for (const ActionStore::ListId list : edge.lists) {
      if (list != edge.lists.front()) {
        SB_TRY(edge.discovered, state_.store.list(list));
      }
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
      SB_TRY(const FileTable::Number number, number_of(id));
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

  Result<FileTable::Number> number_of(ActionStore::PathId id) {
    if (const auto known = state_.by_store_id.find(id); known != state_.by_store_id.end())
      return known->second;
    SB_TRY(const std::string path, state_.store.path(id));
    const FileTable::Number number = state_.keys.file(path);
    state_.by_store_id.emplace(id, number);
    return number;
  }

  Status look_up(PlannedEdge& edge, const std::vector<FileTable::Number>& discovered) {
    SB_TRY(EdgeKeys::Named named, state_.keys.result_key(edge.facts, discovered));
    if (!named.refusal.empty()) {
      edge.verdict = Verdict::refused;
      edge.why = std::move(named.refusal);
      return {};
    }
    SB_TRY(std::optional<ActionResult> result, state_.store.result(named.key, state_.request.owner));
    if (!result) {
      set_general_reason(edge, "an input has other contents than in any run before");
      return {};
    }
    edge.object_ns.clear();
    for (const Output& output : result->outputs) {
      const auto object = has_bytes(output) ? state_.pool.find(output.id) : std::nullopt;
      if (has_bytes(output) && !object && !state_.arriving.contains(output.id)) {
        edge.why = fmt::format("the stored bytes of {} are gone", output.path);
        edge.can_say_more = false;
        return {};
      }
      edge.object_ns.push_back(
          object ? std::int64_t{object->st_mtim.tv_sec} * 1'000'000'000 + object->st_mtim.tv_nsec : 0);
    }
    edge.verdict = Verdict::hit;
    edge.why.clear();
    edge.key = named.key;
    edge.result = *std::move(result);
    return {};
  }

  // What depends on a hit may be one: its outputs are as good as there.
  Status promise(const PlannedEdge& edge) {
    for (std::size_t i = 0; i < edge.result.outputs.size(); ++i) {
      const Output& output = edge.result.outputs[i];
      const FileTable::Number file = state_.keys.file(output.path);
      const std::filesystem::path object = state_.pool.path_of(output.id);
      if (output.kind == Output::Kind::symlink) {
        SB_CHECK(promise_link(file, output));
      } else {
        state_.files.promise(file, output.id.digest, output_time(edge, i), object.string());
      }
    }
    return {};
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
