#include "cache/reasons.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::cache {
namespace {

constexpr std::size_t kMostNames = 3;
constexpr auto kMissing = static_cast<std::uint32_t>(FileTable::Type::missing);

// What an action consists of, as far as a comparison of two can tell; its tools are the rest.
enum Part : std::uint8_t { kCommand, kDeclared, kEnvironment, kPackages, kParts };

// "a, b and c"; "a, b, c and 2 more".
std::string names_in_text(const std::vector<std::string>& names) {
  const bool all = names.size() <= kMostNames;
  const std::size_t shown = all ? names.size() - 1 : kMostNames;
  const std::string last = all ? names.back() : fmt::format("{} more", names.size() - shown);
  const std::string first = join({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown)}, ", ");
  return first.empty() ? last : fmt::format("{} and {}", first, last);
}

std::string_view last_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

ActionParts::ActionParts(const BuildCache::State& state) : state_(state), common_(kParts) {
  KeyBuilder environment;
  for (const std::string& variable : state.request.environment) {
    const bool is_of_stage = variable.starts_with("HOME=") || variable.starts_with("TMPDIR=");
    if (!is_of_stage || !state.normal.is_needed()) environment.add(variable);
  }
  common_[kEnvironment] = environment.finish().low;
  common_[kPackages] = package_state().low;
}

std::vector<std::uint64_t> ActionParts::of(const PlannedEdge& edge, bool portable) const {
  std::vector<std::uint64_t> parts = common_;
  parts[kCommand] = edge.facts.command_hash;
  if (state_.normal.is_needed())
    parts[kCommand] = key_of(state_.normal.of_text(state_.manifest.logged_command(edge.id))).low;
  KeyBuilder declared;
  if (!portable) declared.add(state_.request.places.source).add(state_.request.places.build);
  declared.add(edge.facts.depfile).add(std::uint64_t{edge.facts.deps_in_log});
  for (const FileTable::Number output : edge.facts.outputs)
    state_.normal.add(declared, state_.files.path(output));
  parts[kDeclared] = declared.finish().low;
  return parts;
}

namespace {

class Reasons {
 public:
  explicit Reasons(BuildCache::State& state) : state_(state), parts_(state) {}

  Status explain(PlannedEdge& edge) {
    if (edge.facts.portable) {
      SB_TRY(const std::optional<LastRun> anywhere, state_.store.last_run(*edge.facts.portable));
      if (anywhere) return compare_inputs(edge, *anywhere);
    }
    SB_TRY(const std::optional<LastRun> same, state_.store.last_run(edge.facts.action));
    if (same) return compare_inputs(edge, *same);
    if (edge.facts.discovers) {
      // It ran elsewhere, or before runs were noted.
      SB_TRY(const auto lists, state_.store.lists_of(edge.facts.action));
      if (!lists.empty()) return {};
    }
    const std::string& output = state_.files.path(edge.facts.outputs.front());
    SB_TRY(const std::optional<LastRun> other, state_.store.last_run_that_made(state_.normal.of(output)));
    if (other) return compare_actions(edge, *other);
    edge.why = "the cache knows no run that made it";
    return {};
  }

 private:
  [[nodiscard]] std::string listed(std::vector<std::string> paths) const {
    for (std::string& path : paths) path = state_.request.places.shown(path);
    return names_in_text(paths);
  }

  // The same action before, with other inputs.
  Status compare_inputs(PlannedEdge& edge, const LastRun& run) {
    std::vector<FileTable::Number> discovered;
    if (run.list != 0) {
      SB_TRY(const std::vector<ActionStore::PathId> ids, state_.store.list(run.list));
      discovered.reserve(ids.size());
      for (const ActionStore::PathId id : ids) {
        SB_TRY(const std::string path, state_.store.path(id));
        discovered.push_back(state_.keys.file(state_.normal.here(path)));
        const PlannedEdge* maker = state_.made_by(discovered.back());
        if (maker != nullptr && !state_.is_there(*maker, edge)) return {};
      }
    }
    SB_TRY(const std::vector<Sight> now, state_.keys.sights(edge.facts, discovered));
    if (now.size() != run.sights.size()) return {};
    std::vector<FileTable::Number> inputs = edge.facts.inputs;
    inputs.insert(inputs.end(), discovered.begin(), discovered.end());

    Differences found;
    for (std::size_t i = 0; i < inputs.size(); ++i) found.add(run.sights[i + 1], now[i + 1], inputs[i]);
    std::vector<std::string> reasons;
    add_contents(found, reasons);
    SB_CHECK(add_surroundings(edge, discovered, found.around, reasons));
    if (run.sights.front() != now.front())
      reasons.emplace_back("the symlinks of the source folder are others than in the last run");
    // The same inputs, and no result that this build may use.
    if (reasons.empty()) reasons.emplace_back("its last run was for a change that is not kept so far");
    edge.why = join(reasons, "; ");
    return {};
  }

  struct Differences {
    std::vector<FileTable::Number> changed;
    std::vector<FileTable::Number> gone;
    std::vector<FileTable::Number> fresh;
    std::vector<FileTable::Number> around;  // the same, and something else about it is not
    void add(const Sight& then, const Sight& now, FileTable::Number file) {
      if (then == now) return;
      std::vector<FileTable::Number>& kind = then.content == now.content ? around
                                             : now.content == kMissing   ? gone
                                             : then.content == kMissing  ? fresh
                                                                         : changed;
      // The source file is an input, and its depfile names it once more.
      if (std::ranges::find(kind, file) == kind.end()) kind.push_back(file);
    }
  };

  [[nodiscard]] std::vector<std::string> paths_of(const std::vector<FileTable::Number>& files) const {
    std::vector<std::string> paths;
    paths.reserve(files.size());
    for (const FileTable::Number file : files) paths.push_back(state_.files.path(file));
    return paths;
  }

  void add_contents(const Differences& found, std::vector<std::string>& reasons) const {
    const auto add = [&](const std::vector<FileTable::Number>& files, const char* one, const char* many) {
      if (!files.empty())
        reasons.push_back(fmt::format("{} {}", listed(paths_of(files)), files.size() == 1 ? one : many));
    };
    add(found.changed, "has other contents than in the last run", "have other contents than in the last run");
    add(found.gone, "is not there any more", "are not there any more");
    add(found.fresh, "was not there in the last run", "were not there in the last run");
  }

  Status add_surroundings(const PlannedEdge& edge, const std::vector<FileTable::Number>& discovered,
                          const std::vector<FileTable::Number>& files, std::vector<std::string>& reasons) {
    std::vector<std::string> asking;
    std::vector<std::string> named;
    std::vector<std::string> others;
    named.reserve(files.size());
    for (const FileTable::Number file : files) {
      SB_TRY(const Traits* traits, state_.files.traits(file));
      if (!traits->asked.empty() || traits->asks_computed) {
        asking.push_back(state_.files.path(file));
        continue;
      }
      named.emplace_back(last_name(state_.files.path(file)));
      const std::vector<std::string> more = state_.keys.others(edge.facts, discovered, file);
      others.insert(others.end(), more.begin(), more.end());
    }
    if (!asking.empty()) {
      reasons.push_back(
          fmt::format("{} {} by __has_include what there is, and that is not as in the last run",
                      listed(asking), asking.size() == 1 ? "asks" : "ask"));
    }
    if (named.empty()) return {};
    std::ranges::sort(named);
    named.erase(std::ranges::unique(named).begin(), named.end());
    std::string text = fmt::format("other files of the {} {} can be found than in the last run",
                                   named.size() == 1 ? "name" : "names", names_in_text(named));
    if (!others.empty()) text += fmt::format(", now {}", listed(others));
    reasons.push_back(std::move(text));
    return {};
  }

  // The same output before, made in another way.
  Status compare_actions(PlannedEdge& edge, const LastRun& run) {
    std::vector<std::string> then;
    then.reserve(run.inputs.size());
    for (const ActionStore::PathId id : run.inputs) {
      SB_TRY(const std::string path, state_.store.path(id));
      then.push_back(state_.normal.here(path));
    }
    std::vector<std::string> now = paths_of(edge.facts.inputs);
    const bool same_order = then == now;
    std::ranges::sort(then);
    std::ranges::sort(now);
    std::vector<std::string> fresh;
    std::vector<std::string> gone;
    std::ranges::set_difference(now, then, std::back_inserter(fresh));
    std::ranges::set_difference(then, now, std::back_inserter(gone));

    const std::vector<std::uint64_t> here = parts_.of(edge, false);
    const std::vector<std::uint64_t> anywhere = edge.facts.portable ? parts_.of(edge, true) : here;
    const auto differs = [&](Part part) {
      return run.parts.size() != kParts ||
             (run.parts[part] != here[part] && run.parts[part] != anywhere[part]);
    };
    std::vector<std::string> reasons;
    if (differs(kCommand)) reasons.emplace_back("its command changed since the last run");
    if (!fresh.empty()) reasons.push_back(fmt::format("it gets {} now", listed(fresh)));
    if (!gone.empty()) reasons.push_back(fmt::format("it does not get {} any more", listed(gone)));
    if (!same_order && fresh.empty() && gone.empty())
      reasons.emplace_back("its inputs come in another order than in the last run");
    if (differs(kDeclared))
      reasons.emplace_back("the names of its outputs or folders changed since the last run");
    if (differs(kEnvironment))
      reasons.emplace_back("the environment of all commands changed since the last run");
    if (reasons.empty()) {
      reasons.emplace_back(differs(kPackages)
                               ? "its tools, or what else is installed, changed since the last run"
                               : "its compiler or another of its tools changed since the last run");
    }
    edge.why = join(reasons, "; ");
    return {};
  }

  BuildCache::State& state_;
  ActionParts parts_;
};

}  // namespace

Status note_run(BuildCache::State& state, const ActionParts& parts, const EdgeRun& run) {
  LastRun last{.action = run.action,
               .list = run.list.value_or(0),
               .result = run.result,
               .output = state.normal.of(state.files.path(run.edge.facts.outputs.front())),
               .parts = parts.of(run.edge, run.action == run.edge.facts.portable),
               .inputs = {},
               .sights = {run.sights.begin(), run.sights.end()}};
  last.inputs.reserve(run.edge.facts.inputs.size());
  for (const FileTable::Number input : run.edge.facts.inputs) {
    SB_TRY(const ActionStore::PathId id, state.store.path_id(state.normal.of(state.files.path(input))));
    last.inputs.push_back(id);
  }
  return state.store.note_run(last, state.request.now_ms);
}

Status explain_misses(BuildCache::State& state) {
  Reasons reasons(state);
  for (PlannedEdge& edge : state.edges) {
    if (edge.verdict == Verdict::miss && edge.can_say_more) SB_CHECK(reasons.explain(edge));
  }
  return {};
}

}  // namespace sb::cache
