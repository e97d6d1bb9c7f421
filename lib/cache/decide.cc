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
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::refused) continue;
      SB_CHECK(decide(edge));
      if (edge.verdict == Verdict::hit) SB_CHECK(promise(edge));
    }
    return {};
  }

 private:
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
    if (!edge.facts.discovers) return look_up(edge, {}, {});
    SB_TRY(const std::vector<ActionStore::ListId> lists, state_.store.lists_of(edge.facts.action));
    if (lists.empty()) set_general_reason(edge, "this command never ran with these tools and file names");
    for (const ActionStore::ListId list : lists) {
      SB_CHECK(try_list(edge, list));
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

  Status try_list(PlannedEdge& edge, ActionStore::ListId list) {
    SB_TRY(const std::vector<ActionStore::PathId> ids, state_.store.list(list));
    std::vector<FileTable::Number> numbers;
    numbers.reserve(ids.size());
    std::int64_t newest = edge.newest_input_ns;
    for (const ActionStore::PathId id : ids) {
      SB_TRY(const FileTable::Number number, number_of(id));
      if (const PlannedEdge* maker = state_.made_by(number);
          maker != nullptr && !state_.is_there(*maker, edge)) {
        if (edge.why.empty()) edge.why = made_by_this_build(number);
        return {};
      }
      SB_TRY(const FileTable::Known* known, state_.files.known(number));
      newest = std::max(newest, known->mtime_ns);
      numbers.push_back(number);
    }
    SB_CHECK(look_up(edge, numbers, ids));
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

  Status look_up(PlannedEdge& edge, const std::vector<FileTable::Number>& discovered,
                 const std::vector<ActionStore::PathId>& ids) {
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
    for (const Output& output : result->outputs) {
      const bool has_bytes = output.kind == Output::Kind::shared || output.kind == Output::Kind::copied;
      if (has_bytes && !state_.has_bytes(output.id)) {
        edge.why = fmt::format("the stored bytes of {} are gone", output.path);
        edge.can_say_more = false;
        return {};
      }
    }
    edge.verdict = Verdict::hit;
    edge.why.clear();
    edge.key = named.key;
    edge.result = *std::move(result);
    edge.discovered.clear();
    for (const ActionStore::PathId id : ids) {
      SB_TRY(std::string path, state_.store.path(id));
      edge.discovered.push_back(std::move(path));
    }
    return {};
  }

  // What depends on a hit may be one: its outputs are as good as there.
  Status promise(const PlannedEdge& edge) {
    for (const Output& output : edge.result.outputs) {
      const FileTable::Number file = state_.keys.file(output.path);
      const std::filesystem::path object = state_.pool.path_of(output.id);
      if (output.kind == Output::Kind::symlink) {
        SB_CHECK(promise_link(file, output));
      } else {
        state_.files.promise(file, output.id.digest, output_time(edge, output), object.string());
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
  [[nodiscard]] std::int64_t output_time(const PlannedEdge& edge, const Output& output) const {
    if (output.kind != Output::Kind::shared) return edge.newest_input_ns;
    const auto info = state_.pool.find(output.id);
    const std::int64_t own =
        info ? std::int64_t{info->st_mtim.tv_sec} * 1'000'000'000 + info->st_mtim.tv_nsec : 0;
    return std::max(own, edge.newest_input_ns);
  }

  BuildCache::State& state_;
};

}  // namespace

Status decide(BuildCache::State& state) {
  return Decider(state).run();
}

}  // namespace sb::cache
