// The half of BuildCache before Ninja: hits into the build folder, entries into Ninja's logs.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <unordered_set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/on_threads.h"
#include "base/text.h"
#include "cache/build_state.h"
#include "cache/reasons.h"
#include "cache/remote_tier.h"
#include "ninja/build_log.h"
#include "ninja/deps_log.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr int kMostAttempts = 5;
constexpr std::size_t kFewestToPlace = 8;  // that are worth a thread

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// One output to be placed.
struct Job {
  const Output* output = nullptr;
  std::string to;
  artifacts::Sharing sharing = artifacts::Sharing::copy;
  std::int64_t mtime_ns = 0;
};

unsigned mode_of(const Output& output) {
  return output.executable ? 0755 : 0644;
}

Status place(const artifacts::OutputPool& pool, const Job& job) {
  ::unlink(job.to.c_str());
  if (job.output->kind == Output::Kind::symlink) {
    if (::symlink(job.output->link.c_str(), job.to.c_str()) == 0) return {};
    return fail(errno_error(fmt::format("cannot create the symlink {}", job.to)));
  }
  return pool.place(job.output->id, job.to, job.sharing, mode_of(*job.output), job.mtime_ns);
}

// Copies and verifies; the first failure ends it.
Status place_all(const artifacts::OutputPool& pool, const std::vector<Job>& jobs) {
  std::atomic<bool> failed{false};
  std::mutex mutex;
  Status result;
  on_threads(jobs.size(), kFewestToPlace, [&](std::size_t i) {
    if (failed) return;
    Status placed = place(pool, jobs[i]);
    if (placed) return;
    const std::lock_guard lock(mutex);
    if (!failed.exchange(true)) result = std::move(placed);
  });
  return result;
}

// The logs are Ninja's own, without a promise for the next version: up to 1.11 they are what we write.
Status check_ninja(BuildCache::State& state) {
  SB_TRY(const Tool* ninja, state.tools.find("ninja", {}));
  const Key key = KeyBuilder().add(std::string_view("version")).add(ninja->identity).finish();
  SB_TRY(std::optional<std::string> version, state.store.tool(key));
  if (!version) {
    SB_TRY(version, state.request.ask({"ninja", "--version"}));
    SB_CHECK(state.store.begin_writing());
    const Status noted = state.store.remember_tool(key, *version);
    SB_CHECK(state.store.end_writing());
    SB_CHECK(noted);
  }
  int major = 0;
  int minor = 0;
  // NOLINTNEXTLINE(cert-err34-c): what is no number leaves zeros, and is refused
  if (std::sscanf(version->c_str(), "%d.%d", &major, &minor) == 2 && major == 1 && minor >= 8 && minor <= 11)
    return {};
  Error error = make_error(ErrorKind::environment, "the logs of this Ninja are not known");
  error.expected = "1.8 to 1.11";
  error.found = std::string(trim(*version));
  return fail(std::move(error));
}

// A time that what was written so far does not have, and what is written from now on has or exceeds. File
// systems stamp with the coarse clock, which moves every few milliseconds and is late by more when the
// processor is busy; since Linux 6.13 also with the exact one ("multigrain timestamps").
std::int64_t next_tick_ns() {
  timespec exact{};
  timespec coarse{};
  ::clock_gettime(CLOCK_REALTIME, &exact);
  do {
    constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 200'000};
    ::nanosleep(&kPause, nullptr);
    ::clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
  } while (nanoseconds(coarse) <= nanoseconds(exact));
  return nanoseconds(coarse);
}

// CMake's own files come from the cache as old as sources are; Ninja would run CMake again.
void make_build_files_young(const BuildCache::State& state) {
  for (ninja::EdgeId edge = 0; edge < state.manifest.edge_count(); ++edge) {
    if (state.manifest.value(edge, "generator").empty()) continue;
    const ninja::Edge graph = state.manifest.edge(edge);
    for (const auto outputs : {graph.explicit_outputs, graph.implicit_outputs}) {
      for (const ninja::NodeId node : outputs) {
        const std::string path =
            state.request.places.real(state.request.places.absolute(state.manifest.path(node)));
        (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
      }
    }
  }
}

}  // namespace

BuildCache::State::State(ActionStore& actions, const artifacts::OutputPool& outputs, BuildCacheRequest asked,
                         ninja::Manifest graph, StageListing files_there)
    : store(actions),
      pool(outputs),
      request(std::move(asked)),
      normal(request.places),
      manifest(std::move(graph)),
      listing(std::move(files_there)),
      memos(request.memos, request.owner == 0),
      files(request.places, store),
      tools(request.places, files, store, request.ask, request.environment),
      keys(manifest, request.places, files, tools, listing, request.environment) {}

const PlannedEdge* BuildCache::State::made_by(FileTable::Number file) const {
  const ninja::EdgeId maker = keys.producer(file);
  if (maker == ninja::kNoEdge) return nullptr;
  if (maker >= positions.size() || positions[maker] == kNotNeeded) return nullptr;
  return &edges[positions[maker]];
}

bool BuildCache::State::is_there(const PlannedEdge& maker, const PlannedEdge& user) const {
  if (maker.verdict != Verdict::hit) return false;
  return arriving.empty() || !user.facts.discovers ||
         std::ranges::none_of(maker.result.outputs,
                              [&](const Output& output) { return arriving.contains(output.id); });
}

Result<FileTable::Number> BuildCache::State::number_of(ActionStore::PathId id) {
  if (id < by_store_id.size() && by_store_id[id] != kUnknown) return by_store_id[id];
  SB_TRY(const std::string path, store.path(id));
  const FileTable::Number file = keys.file(normal.here(path));
  note_number(id, file);
  return file;
}

void BuildCache::State::note_number(ActionStore::PathId id, FileTable::Number file) {
  if (by_store_id.size() <= id) by_store_id.resize(std::size_t{id} + 1, kUnknown);
  by_store_id[id] = file;
}

bool BuildCache::State::is_source(FileTable::Number file) const {
  return keys.producer(file) == ninja::kNoEdge && is_below(files.path(file), request.places.source);
}

// On every processor, before they are asked for one by one.
Status BuildCache::State::know_sources(const std::vector<ninja::EdgeId>& needed) {
  std::vector<FileTable::Number> sources;
  for (const ninja::EdgeId id : needed) {
    const ninja::Edge edge = manifest.edge(id);
    for (const auto inputs : {edge.explicit_inputs, edge.implicit_inputs}) {
      for (const ninja::NodeId node : inputs) {
        if (is_source(keys.file(node))) sources.push_back(keys.file(node));
      }
    }
  }
  return files.know(sources);
}

void BuildCache::State::forget_outputs() {
  if (remembered) remembered->edges.clear();  // some of its objects are damaged
  for (const PlannedEdge& edge : edges) {
    for (const FileTable::Number output : edge.facts.outputs) files.forget(output);
  }
}

void BuildCache::State::publish_verdicts() {
  verdicts.clear();
  for (const PlannedEdge& edge : edges) {
    const auto outputs = manifest.edge(edge.id).explicit_outputs;
    verdicts.push_back(
        {.output = outputs.empty() ? std::string() : std::string(manifest.path(outputs.front())),
         .verdict = edge.verdict,
         .why = edge.why,
         .reach = edge.reach});
  }
}

BuildCache::BuildCache(std::unique_ptr<State> state) : state_(std::move(state)) {}
BuildCache::BuildCache(BuildCache&&) noexcept = default;
BuildCache::~BuildCache() = default;

const std::vector<EdgeVerdict>& BuildCache::verdicts() const {
  return state_->verdicts;
}

Result<BuildCache> BuildCache::open(ActionStore& store, const artifacts::OutputPool& pool,
                                    BuildCacheRequest request) {
  const fs::path folder = request.places.real(request.places.build);
  std::optional<Result<ninja::Manifest>> graph;
  std::optional<Result<StageListing>> files;
  on_threads(2, 1, [&](std::size_t i) {
    if (i == 0) graph = ninja::Manifest::load(folder);
    if (i == 1) files = StageListing::make(request.places);
  });
  SB_TRY(ninja::Manifest manifest, *std::move(graph));
  if (!manifest.builddir().empty())
    return fail(ErrorKind::environment, "this build keeps Ninja's logs in a folder of its own (builddir)");
  SB_TRY(StageListing listing, *std::move(files));
  auto state =
      std::make_unique<State>(store, pool, std::move(request), std::move(manifest), std::move(listing));
  // What a build will make exists, as far as a search for headers is concerned, in every build alike.
  for (ninja::NodeId node = 0; node < state->manifest.node_count(); ++node) {
    const ninja::EdgeId maker = state->manifest.producer(node);
    if (maker != ninja::kNoEdge && !state->manifest.edge(maker).is_phony())
      state->listing.add(state->files.path(state->keys.file(node)));
  }
  SB_CHECK(check_ninja(*state));
  make_build_files_young(*state);
  const ActionStore::Reading reading(store);
  SB_TRY(const std::vector<ninja::EdgeId> needed, state->manifest.needed(state->request.targets));
  state->positions.assign(state->manifest.edge_count(), State::kNotNeeded);
  SB_CHECK(state->know_sources(needed));
  std::vector<ninja::EdgeId> commands;
  std::ranges::copy_if(needed, std::back_inserter(commands),
                       [&](ninja::EdgeId id) { return !state->manifest.edge(id).is_phony(); });
  if (!state->request.memos.empty()) state->memo_name = state->keys.memo_name(commands);
  SB_TRY(std::vector<EdgeFacts> facts, state->keys.facts(commands, state->memos, state->memo_name));
  state->edges.resize(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    state->edges[i].id = commands[i];
    state->edges[i].facts = std::move(facts[i]);
    state->positions[commands[i]] = static_cast<std::uint32_t>(i);
  }
  // Shared by hard link is what only compilers and archivers read.
  std::unordered_set<FileTable::Number> exposed;
  for (const PlannedEdge& edge : state->edges) {
    if (!edge.facts.only_links) exposed.insert(edge.facts.inputs.begin(), edge.facts.inputs.end());
  }
  for (PlannedEdge& edge : state->edges) {
    edge.shares_outputs =
        edge.facts.discovers && edge.facts.only_links &&
        std::ranges::none_of(edge.facts.outputs, [&](auto file) { return exposed.contains(file); });
    if (edge.facts.refusal.empty()) continue;
    edge.verdict = Verdict::refused;
    edge.why = edge.facts.refusal;
  }
  return BuildCache(std::move(state));
}

Status BuildCache::look() {
  const ActionStore::Reading reading(state_->store);
  SB_CHECK(decide(*state_));
  SB_CHECK(explain_misses(*state_));
  state_->publish_verdicts();
  return {};
}

Result<Taken> BuildCache::take() {
  State& state = *state_;
  if (state.request.remote != nullptr) SB_CHECK(state.request.remote->prefetch(state));
  for (int attempt = 1;; ++attempt) {
    {
      const ActionStore::Reading reading(state.store);
      SB_CHECK(decide(state));
    }
    SB_TRY(const bool placed, place_hits(state));
    if (placed) break;
    if (attempt == kMostAttempts)
      return fail(ErrorKind::corrupt, "the build cache loses outputs while it is used");
    state.forget_outputs();
  }
  SB_CHECK(write_logs(state));
  Taken taken;
  std::vector<Key> used;
  for (const PlannedEdge& edge : state.edges) {
    ++taken.edges;
    if (edge.verdict != Verdict::hit) continue;
    ++taken.hits;
    taken.saved_ms += edge.result.took_ms;
    if (!edge.result.printed.empty()) taken.printed.push_back(edge.result.printed);
    used.push_back(edge.key);
  }
  SB_CHECK(state.store.begin_writing());
  const Status noted = [&]() -> Status {
    SB_CHECK(state.files.remember());
    SB_CHECK(state.tools.remember());
    return state.store.touch(used, state.request.now_ms);
  }();
  SB_CHECK(state.store.end_writing());
  SB_CHECK(noted);
  state.publish_verdicts();
  if (taken.hits < taken.edges) state.began_ns = next_tick_ns();
  return taken;
}

std::string state_text(const struct stat& info) {
  return fmt::format("{} {} {}", info.st_ino, info.st_size, nanoseconds(info.st_mtim));
}

Result<bool> place_hits(BuildCache::State& state) {
  std::vector<Job> jobs;
  std::unordered_set<std::string> folders;
  for (const PlannedEdge& edge : state.edges) {
    if (edge.verdict != Verdict::hit) continue;
    for (std::size_t i = 0; i < edge.result.outputs.size(); ++i) {
      const Output& output = edge.result.outputs[i];
      const std::string seen = state.request.places.absolute(output.path);
      Job job{.output = &output, .to = state.request.places.real(seen)};
      const std::string folder = job.to.substr(0, job.to.rfind('/'));
      if (folders.insert(folder).second) {
        if (!state.request.places.stays_in_stage(seen.substr(0, seen.rfind('/'))))
          return fail(ErrorKind::conflict, fmt::format("{} leads out of the stage", seen));
        SB_CHECK(os::make_folders(folder));
      }
      // A link keeps the object's own time; when an input is newer than that, Ninja would not believe it.
      // With a build that nobody trusts nothing is shared: what it could write, others would compile.
      if (state.request.owner == 0 && output.kind == Output::Kind::shared && edge.shares_outputs &&
          edge.object_ns[i] >= edge.newest_input_ns)
        job.sharing = artifacts::Sharing::link;
      job.mtime_ns = edge.newest_input_ns;
      jobs.push_back(std::move(job));
    }
  }
  const Status placed = place_all(state.pool, jobs);
  if (placed) return true;
  for (const Job& job : jobs) ::unlink(job.to.c_str());
  if (placed.error().kind == ErrorKind::corrupt || placed.error().kind == ErrorKind::not_found) return false;
  return fail(placed.error());
}

Status write_logs(BuildCache::State& state) {
  const fs::path folder = state.request.places.real(state.request.places.build);
  SB_TRY(ninja::BuildLog log, ninja::load_build_log(folder));
  SB_TRY(ninja::DepsLog deps, ninja::DepsLog::load(folder));
  std::unordered_map<ActionStore::PathId, ninja::DepsLog::PathId> dep_ids;
  for (const PlannedEdge& edge : state.edges) {
    if (edge.verdict != Verdict::hit) continue;
    const ninja::Edge graph = state.manifest.edge(edge.id);
    std::int64_t newest = edge.newest_input_ns;
    for (const Output& output : edge.result.outputs) {
      struct stat info{};
      if (::lstat(state.request.places.real(state.request.places.absolute(output.path)).c_str(), &info) != 0)
        continue;
      newest = std::max(newest, nanoseconds(info.st_mtim));
      state.placed.insert_or_assign(state.keys.file(output.path), state_text(info));
    }
    const ninja::LogEntry entry{.start_ms = 0,
                                .end_ms = static_cast<std::int32_t>(edge.result.took_ms),
                                .mtime_ns = newest,
                                .command_hash = edge.facts.command_hash};
    for (const auto outputs : {graph.explicit_outputs, graph.implicit_outputs}) {
      for (const ninja::NodeId node : outputs) log.entries[std::string(state.manifest.path(node))] = entry;
    }
    if (!edge.facts.deps_in_log || graph.explicit_outputs.empty()) continue;
    ninja::DepsLog::Deps list{.mtime_ns = newest, .paths = {}};
    list.paths.reserve(edge.discovered.size());
    for (const ActionStore::PathId id : edge.discovered) {
      const auto [known, fresh] = dep_ids.try_emplace(id);
      if (fresh) {
        SB_TRY(const std::string path, state.store.path(id));
        known->second = deps.intern(state.normal.here(path));
      }
      list.paths.push_back(known->second);
    }
    for (const ninja::NodeId node : graph.explicit_outputs) deps.set(state.manifest.path(node), list);
  }
  SB_CHECK(ninja::save(log, folder));
  return deps.save(folder);
}

}  // namespace sb::cache
