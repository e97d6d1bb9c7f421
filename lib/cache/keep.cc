// The half of BuildCache after Ninja: what it made goes into the store.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <sys/stat.h>

#include "cache/build_state.h"
#include "cache/depfile.h"
#include "cache/portability.h"
#include "cache/reasons.h"
#include "cache/remote_tier.h"
#include "ninja/build_log.h"
#include "ninja/deps_log.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestDepfile = 64 << 20;
constexpr std::size_t kLongestPrinted = 256 << 10;
constexpr std::size_t kFewNews = 100;  // one edge in so many

std::int64_t changed_ns(const struct stat& info) {
  return std::int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
}

class Keeper {
 public:
  explicit Keeper(BuildCache::State& state)
      : state_(state), folder_(state.request.places.real(state.request.places.build)) {}

  Result<Kept> run(const std::function<std::string(std::string_view)>& printed) {
    const bool any = std::ranges::any_of(
        state_.edges, [](const PlannedEdge& edge) { return edge.verdict != Verdict::hit; });
    if (any) {
      SB_TRY(log_, ninja::load_build_log(folder_));
      SB_TRY(deps_, ninja::DepsLog::load(folder_));
    }
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict != Verdict::hit) note_outputs(edge);
    }
    SB_CHECK(find_stray());
    for (PlannedEdge& edge : state_.edges) {
      if (edge.verdict == Verdict::hit || !ran(edge)) continue;
      SB_TRY(std::string refusal, keep(edge, printed));
      if (refusal.empty()) continue;
      edge.why = std::move(refusal);
      edge.verdict = Verdict::refused;
      ++kept_.refused;
    }
    SB_CHECK(find_portable());
    SB_CHECK(state_.store.begin_writing());
    const Status written = write();
    SB_CHECK(state_.store.end_writing());
    SB_CHECK(written);
    leave_memo();
    if (state_.request.remote != nullptr) state_.request.remote->offer(publications(), state_.request.owner);
    state_.publish_verdicts();
    return kept_;
  }

 private:
  struct Row {
    PlannedEdge* edge;
    Key action;
    Key key;
    std::vector<std::string> discovered;
    ActionStore::ListId list = 0;
    std::vector<ActionStore::PathId> path_ids{};  // of what it discovered
    bool is_right = true;                         // as far as anybody knows
    ActionResult result;
    std::vector<Sight> sights;
  };

  // A file that no edge declares would be missing, or be as it was, when the edge that wrote it comes from
  // the cache. Which one did is not known: one of those that run more than compilers.
  Status find_stray() {
    const bool possible = std::ranges::any_of(state_.edges, [&](const PlannedEdge& edge) {
      return edge.verdict != Verdict::hit && !edge.facts.writes_only_outputs && ran(edge);
    });
    if (!possible) return {};
    std::unordered_set<std::string> declared;
    for (const PlannedEdge& edge : state_.edges) {
      for (const FileTable::Number output : edge.facts.outputs) declared.insert(state_.files.path(output));
      for (const char* variable : {"depfile", "rspfile"}) {
        const std::string path = state_.manifest.value(edge.id, variable);
        if (!path.empty()) declared.insert(state_.request.places.absolute(path));
      }
    }
    SB_TRY(const StageListing now, StageListing::make(state_.request.places));
    now.each([&](std::string_view seen) {
      const std::string path(seen);
      if (declared.contains(path) || is_by_the_way(path)) return;
      if (state_.listing.had(path) && !is_touched(path)) return;
      if (stray_.empty() || path < stray_) stray_ = path;
    });
    return {};
  }

  // Ninja's own files; and what is as good as its source, or as the depfile that CMake makes of it.
  [[nodiscard]] bool is_by_the_way(std::string_view path) const {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return path == fmt::format("{}/{}", state_.request.places.build, name)
               ? name.starts_with(".ninja_") || name.ends_with(".d")
               : name.ends_with(".pyc") || name.ends_with(".d");
  }

  // A file that was there, and that no edge makes, but that was written to while Ninja ran.
  [[nodiscard]] bool is_touched(const std::string& path) const {
    struct stat info{};
    return state_.keys.producer(state_.keys.file(path)) == ninja::kNoEdge &&
           ::lstat(state_.request.places.real(path).c_str(), &info) == 0 &&
           changed_ns(info) >= state_.began_ns;
  }

  // When each output last changed, before keeping it changes that (a link is a change of the inode).
  void note_outputs(const PlannedEdge& edge) {
    for (const FileTable::Number output : edge.facts.outputs) {
      state_.files.forget(output);
      struct stat info{};
      if (::lstat(real(output).c_str(), &info) == 0) changed_.insert_or_assign(output, changed_ns(info));
    }
  }

  bool stays_in_stage(const std::string& folder) {
    const auto [known, fresh] = inside_.try_emplace(folder, false);
    if (fresh) known->second = state_.request.places.stays_in_stage(folder);
    return known->second;
  }

  [[nodiscard]] std::string real(FileTable::Number file) const {
    return state_.request.places.real(state_.files.path(file));
  }

  // Ninja has run it to its good end, with this command.
  [[nodiscard]] bool ran(const PlannedEdge& edge) const {
    const ninja::Edge graph = state_.manifest.edge(edge.id);
    for (const auto outputs : {graph.explicit_outputs, graph.implicit_outputs}) {
      for (const ninja::NodeId node : outputs) {
        const auto entry = log_.entries.find(std::string(state_.manifest.path(node)));
        if (entry == log_.entries.end() || entry->second.command_hash != edge.facts.command_hash)
          return false;
      }
    }
    return true;
  }

  // Why it cannot be kept, or nothing.
  Result<std::string> keep(PlannedEdge& edge, const std::function<std::string(std::string_view)>& printed) {
    if (!edge.facts.refusal.empty()) return edge.facts.refusal;
    if (!stray_.empty() && !edge.facts.writes_only_outputs)
      return fmt::format("it may have written {}, which no edge declares", stray_);
    if (std::string rewritten = rewritten_output(edge); !rewritten.empty())
      return fmt::format("{} was changed after it was made", rewritten);
    Row row{
        .edge = &edge, .action = edge.facts.action, .key = {}, .discovered = {}, .result = {}, .sights = {}};
    if (edge.facts.discovers) {
      SB_TRY(std::string missing, read_discovered(edge, row.discovered));
      if (!missing.empty()) return missing;
    }
    const std::vector<FileTable::Number> discovered = numbers_of(row.discovered);
    for (const FileTable::Number input : discovered) {
      if (state_.normal.is_ambiguous(state_.files.path(input)))
        return fmt::format("{} has a name that stands for stages", state_.files.path(input));
    }
    std::int64_t finished = INT64_MAX;
    for (const FileTable::Number output : edge.facts.outputs) {
      const auto changed = changed_.find(output);
      if (changed == changed_.end()) return fmt::format("it does not make {}", state_.files.path(output));
      finished = std::min(finished, changed->second);
    }
    for (const std::vector<FileTable::Number>* inputs : {&std::as_const(edge.facts.inputs), &discovered}) {
      for (const FileTable::Number input : *inputs) {
        if (const std::int64_t changed = changed_at(input); changed == INT64_MAX || changed > finished)
          return fmt::format("{} changed after it was read", state_.files.path(input));
      }
    }
    SB_TRY(EdgeKeys::Named named, state_.keys.result_key(edge.facts, row.action, discovered));
    if (!named.refusal.empty()) return std::move(named.refusal);
    row.key = named.key;
    SB_TRY(row.sights, state_.keys.sights(edge.facts, discovered));
    SB_TRY(std::string no_file, take_outputs(edge, row.result.outputs));
    if (!no_file.empty()) return no_file;
    describe_run(edge, printed, row.result);
    edge.reach = state_.normal.is_needed() ? Reach::at_this_path : Reach::everywhere;
    rows_.push_back(std::move(row));
    ++kept_.results;
    return std::string();
  }

  [[nodiscard]] std::vector<FileTable::Number> numbers_of(const std::vector<std::string>& paths) {
    std::vector<FileTable::Number> numbers;
    numbers.reserve(paths.size());
    for (const std::string& path : paths) numbers.push_back(state_.keys.file(path));
    return numbers;
  }

  // Those get the key that they have in every stage.
  Status find_portable() {
    if (!state_.normal.is_needed()) return {};
    std::vector<Portability::Made> made;
    made.reserve(rows_.size());
    for (const Row& row : rows_)
      made.push_back({.edge = row.edge, .discovered = numbers_of(row.discovered), .result = &row.result});
    SB_TRY(const std::vector<bool> portable, Portability(state_).of(made));
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!portable[i]) continue;
      Row& row = rows_[i];
      row.action = *row.edge->facts.portable;
      SB_TRY(const EdgeKeys::Named named,
             state_.keys.result_key(row.edge->facts, row.action, made[i].discovered));
      row.key = named.key;
      row.edge->reach = Reach::everywhere;
    }
    return {};
  }

  // Ninja notes the time of the newest output when an edge ends.
  std::string rewritten_output(const PlannedEdge& edge) {
    const ninja::Edge graph = state_.manifest.edge(edge.id);
    for (const auto outputs : {graph.explicit_outputs, graph.implicit_outputs}) {
      for (const ninja::NodeId node : outputs) {
        const auto entry = log_.entries.find(std::string(state_.manifest.path(node)));
        struct stat info{};
        if (entry == log_.entries.end() ||
            ::stat(real(state_.keys.file(state_.manifest.path(node))).c_str(), &info) != 0)
          continue;
        if (std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec > entry->second.mtime_ns)
          return std::string(state_.manifest.path(node));
      }
    }
    return {};
  }

  Result<std::string> read_discovered(const PlannedEdge& edge, std::vector<std::string>& paths) {
    if (!edge.facts.deps_in_log) {
      const fs::path depfile = state_.request.places.real(state_.request.places.absolute(edge.facts.depfile));
      const Result<std::string> text = os::read_file(depfile, kLargestDepfile);
      if (!text) return fmt::format("its depfile {} cannot be read", edge.facts.depfile);
      Result<std::vector<std::string>> found = parse_depfile(*text);
      if (!found) return fmt::format("its depfile {} cannot be read", edge.facts.depfile);
      paths = *std::move(found);
      return std::string();
    }
    const ninja::Edge graph = state_.manifest.edge(edge.id);
    const ninja::DepsLog::Deps* deps = graph.explicit_outputs.empty()
                                           ? nullptr
                                           : deps_.find(state_.manifest.path(graph.explicit_outputs.front()));
    if (deps == nullptr) return std::string("Ninja has no dependencies of it");
    for (const ninja::DepsLog::PathId id : deps->paths) paths.push_back(deps_.path(id));
    return std::string();
  }

  // Of an input; the host's own files are not our concern: a package that is upgraded during a build spoils
  // it anyway.
  std::int64_t changed_at(FileTable::Number input) {
    if (const auto known = changed_.find(input); known != changed_.end()) return known->second;
    std::int64_t changed = 0;
    struct stat info{};
    const PlannedEdge* maker = state_.made_by(input);
    if (maker != nullptr && maker->verdict == Verdict::hit) {
      const auto placed = state_.placed.find(input);
      if (placed == state_.placed.end() || ::lstat(real(input).c_str(), &info) != 0 ||
          state_text(info) != placed->second)
        changed = INT64_MAX;
    } else if (state_.request.places.in_stage(state_.files.path(input)) &&
               ::stat(real(input).c_str(), &info) == 0 && changed_ns(info) >= state_.began_ns) {
      changed = INT64_MAX;  // a source, while Ninja ran: some edges read it before, and some after
    }
    changed_.emplace(input, changed);
    return changed;
  }

  Result<std::string> take_outputs(const PlannedEdge& edge, std::vector<Output>& outputs) {
    for (const FileTable::Number file : edge.facts.outputs) {
      const std::string path = real(file);
      struct stat info{};
      if (::lstat(path.c_str(), &info) != 0)
        return fmt::format("it does not make {}", state_.files.path(file));
      const std::string& seen = state_.files.path(file);
      if (!stays_in_stage(seen.substr(0, seen.rfind('/'))))
        return fmt::format("{} leads out of the stage", seen);
      Output output{.kind = edge.shares_outputs ? Output::Kind::shared : Output::Kind::copied,
                    .executable = (info.st_mode & S_IXUSR) != 0,
                    .path = state_.files.path(file)};
      if (S_ISLNK(info.st_mode)) {
        output.kind = Output::Kind::symlink;
        SB_TRY(const fs::path target, os::read_link(path));
        if (state_.normal.is_ambiguous(target.string()))
          return fmt::format("{} leads to a name that stands for stages", seen);
        output.link = target.string();
      } else if (S_ISREG(info.st_mode)) {
        if (output.executable) output.kind = Output::Kind::copied;
        SB_TRY(output.id,
               state_.pool.put(path, output.kind == Output::Kind::shared && state_.request.owner == 0
                                         ? artifacts::Sharing::link
                                         : artifacts::Sharing::copy));
        state_.files.promise(file, output.id.digest, 0, path);
      } else {
        return fmt::format("{} is no file", state_.files.path(file));
      }
      outputs.push_back(std::move(output));
    }
    return std::string();
  }

  void describe_run(const PlannedEdge& edge, const std::function<std::string(std::string_view)>& printed,
                    ActionResult& result) const {
    const ninja::Edge graph = state_.manifest.edge(edge.id);
    const auto entry = log_.entries.find(std::string(state_.manifest.path(graph.explicit_outputs.front())));
    if (entry != log_.entries.end())
      result.took_ms = std::max(0, entry->second.end_ms - entry->second.start_ms);
    if (printed)
      result.printed = printed(state_.manifest.value(edge.id, "description")).substr(0, kLongestPrinted);
  }

  [[nodiscard]] BuildNote note() const {
    BuildNote note{.at_ms = state_.request.now_ms,
                   .owner = state_.request.owner,
                   .edges = static_cast<int>(state_.edges.size())};
    for (const PlannedEdge& edge : state_.edges) {
      if (edge.verdict != Verdict::hit) continue;
      ++note.hits;
      note.results.push_back(edge.key);
    }
    for (const Row& row : rows_) note.results.push_back(row.key);
    return note;
  }

  Status write() {
    SB_CHECK(state_.files.remember());
    SB_CHECK(state_.tools.remember());
    const ActionParts parts(state_);
    for (Row& row : rows_) {
      use_normal_form(row);
      std::optional<ActionStore::ListId> list;
      if (row.edge->facts.discovers) {
        row.path_ids.reserve(row.discovered.size());
        for (const std::string& path : row.discovered) {
          SB_TRY(const ActionStore::PathId id, state_.store.path_id(path));
          row.path_ids.push_back(id);
        }
        SB_TRY(row.list, state_.store.list_id(row.path_ids));
        list = row.list;
      }
      SB_TRY(row.is_right, state_.store.record(row.action, list, row.key, state_.request.owner, row.result,
                                               state_.request.now_ms));
      SB_CHECK(note_run(
          state_, parts,
          {.edge = *row.edge, .action = row.action, .list = list, .result = row.key, .sights = row.sights}));
    }
    return state_.store.note_build(note());
  }

  [[nodiscard]] static bool has_portable_key(const PlannedEdge& edge) {
    return edge.facts.portable && edge.reach == Reach::everywhere;
  }

  // For the next build of this graph; unless it would hardly learn more than from the memo that is there.
  void leave_memo() {
    const auto news = rows_.size() + static_cast<std::size_t>(
                                         std::ranges::count_if(state_.edges, [](const PlannedEdge& edge) {
                                           return edge.verdict == Verdict::hit && !edge.was_remembered;
                                         }));
    if (state_.memo_name.empty() || !state_.memos.writes() || news * kFewNews < state_.edges.size() ||
        news == 0)
      return;
    ResultsMemo memo{.removed = state_.removed, .paths = {}, .edges = {}};
    memo.edges.resize(state_.edges.size());
    for (std::size_t i = 0; i < state_.edges.size(); ++i) {
      const PlannedEdge& edge = state_.edges[i];
      if (edge.verdict != Verdict::hit) continue;
      memo.edges[i] = {.known = true,
                       .list = edge.list,
                       .discovered = edge.discovered,
                       .key = edge.key,
                       .portable = has_portable_key(edge),
                       .result = edge.result};
    }
    for (const Row& row : rows_) {
      if (!row.is_right) continue;
      ResultsMemo::Edge& edge = memo.edges[static_cast<std::size_t>(row.edge - state_.edges.data())];
      edge = {.known = true,
              .list = row.list,
              .discovered = row.path_ids,
              .key = row.key,
              .portable = has_portable_key(*row.edge),
              .result = row.result};
      // As this build sees it, and not as it was stored.
      for (Output& output : edge.result.outputs) {
        output.path = state_.normal.here(output.path);
        output.link = state_.normal.here(output.link);
      }
    }
    std::unordered_set<ActionStore::PathId> listed;
    for (const ResultsMemo::Edge& edge : memo.edges) {
      for (const ActionStore::PathId id : edge.discovered) {
        if (!listed.insert(id).second) continue;
        Result<std::string> path = state_.store.path(id);
        if (!path) return;
        memo.paths.emplace_back(id, *std::move(path));
      }
    }
    state_.memos.save(state_.results_name(), to_bytes(memo));
  }

  // As it is stored.
  void use_normal_form(Row& row) const {
    for (std::string& path : row.discovered) path = state_.normal.of(path);
    for (Output& output : row.result.outputs) {
      output.path = state_.normal.of(output.path);
      output.link = state_.normal.of(output.link);
    }
  }

  std::vector<Publication> publications() {
    std::vector<Publication> all;
    for (Row& row : rows_) {
      Publication& each = all.emplace_back();
      each.action = row.action;
      if (row.edge->facts.discovers) each.list = std::move(row.discovered);
      each.key = row.key;
      each.result = std::move(row.result);
    }
    return all;
  }

  BuildCache::State& state_;
  fs::path folder_;
  ninja::BuildLog log_;
  ninja::DepsLog deps_;
  std::unordered_map<FileTable::Number, std::int64_t> changed_;
  std::unordered_map<std::string, bool> inside_;
  std::vector<Row> rows_;
  std::string stray_;  // the first file that no edge declares
  Kept kept_;
};

}  // namespace

Result<Kept> BuildCache::keep(const std::function<std::string(std::string_view)>& printed) {
  return Keeper(*state_).run(printed);
}

}  // namespace sb::cache
