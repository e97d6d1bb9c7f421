#include "build/cached_build.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "artifacts/output_pool.h"
#include "base/text.h"
#include "build/cached_configure.h"
#include "build/configure.h"
#include "build/diagnostics.h"
#include "build/ninja.h"
#include "cache/build_cache.h"
#include "cache/configured_folder.h"
#include "cache/remote_tier.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::int64_t unix_ms() {
  return duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What the last build left. It is put aside at once, and deleted while Ninja runs: ext4 makes new files
// slowly for some seconds after many were deleted beside them.
class LastBuild {
 public:
  LastBuild() = default;
  LastBuild(const LastBuild&) = delete;
  LastBuild& operator=(const LastBuild&) = delete;
  ~LastBuild() {
    if (!remover_.joinable() && !aside_.empty()) (void)os::remove_tree(aside_);
  }
  Status put_aside(const std::filesystem::path& build) {
    aside_ = build.parent_path() / fmt::format(".selfbuild-{}-last", build.filename().string());
    SB_CHECK(os::remove_tree(aside_));  // of a build that was killed
    std::error_code code;
    std::filesystem::rename(build, aside_, code);
    return code ? os::remove_tree(build) : Status();
  }
  void start_removing() {
    remover_ = std::jthread([this] { (void)os::remove_tree(aside_); });  // what stays, the next build removes
  }

 private:
  std::filesystem::path aside_;
  std::jthread remover_;
};

class CachedBuild {
 public:
  CachedBuild(const BuildRequest& request, ToolRunner& tools, const ProgressSink& progress,
              cache::ActionStore store)
      : request_(request),
        tools_(tools),
        progress_(progress),
        store_(std::move(store)),
        pool_(request.cache / "outputs"),
        places_{.source = tools.seen(request.source).string(),
                .build = tools.seen(request.build).string(),
                .view = request.view} {
    if (!request.remote.url.empty()) remote_.emplace(request.remote, request.cache, pool_, unix_ms());
  }

  Result<std::vector<cache::EdgeVerdict>> explain() {
    SB_CHECK(begin());
    SB_TRY(cache::BuildCache outputs, cache::BuildCache::open(store_, pool_, cache_request()));
    SB_CHECK(outputs.look());
    return outputs.verdicts();
  }

  Result<BuildReport> run() {
    SB_CHECK(begin());
    auto start = steady_clock::now();
    SB_TRY(cache::BuildCache outputs, cache::BuildCache::open(store_, pool_, cache_request()));
    SB_TRY(const cache::Taken taken, outputs.take());
    report_.cache_time += since(start);
    report_.edges_total = taken.edges;
    report_.edges_cached = taken.hits;
    report_.saved = milliseconds(taken.saved_ms);
    report_.timeline.add_phase("decide and place", start);
    if (request_.list_edges) report_.hits = outputs.hits();
    replay(taken.printed);

    const NinjaLog log(request_);
    start = steady_clock::now();
    last_.start_removing();
    // When all is there, Ninja would only read its files once more and say so.
    const Result<NinjaRun> ninja =
        taken.hits == taken.edges ? NinjaRun() : run_ninja(request_, tools_, progress_);
    report_.ninja_time = since(start);
    report_.timeline.add_phase("ninja", start);
    log.add_edges(start, report_.timeline);
    start = steady_clock::now();
    // Also of a build that failed: what went well need not run again.
    keep(outputs, ninja ? &*ninja : nullptr);
    count_reach(outputs.verdicts());
    if (remote_) add_note(remote_->use().note);
    report_.keep_time = since(start);
    report_.timeline.add_phase("keep", start);
    report_.cache_time += report_.keep_time;
    if (!ninja) return fail(ninja.error());
    report_.edges_run = ninja->edges_run;
    report_.warnings.insert(report_.warnings.end(), ninja->warnings.begin(), ninja->warnings.end());
    report_.grant = ninja->grant;
    report_.cache_lock_wait = std::chrono::ceil<milliseconds>(store_.longest_wait());
    return std::move(report_);
  }

 private:
  // An empty folder, configured: whatever an earlier build left there cannot matter.
  Status begin() {
    const auto start = steady_clock::now();
    SB_CHECK(last_.put_aside(request_.build));
    SB_CHECK(os::make_folders(request_.build));
    SB_CHECK(configure());
    report_.timeline.add_phase("configure", start);
    return {};
  }

  static milliseconds since(steady_clock::time_point start) {
    return duration_cast<milliseconds>(steady_clock::now() - start);
  }

  cache::Ask ask() {
    return [this](const std::vector<std::string>& argv) -> Result<std::string> {
      std::string text;
      SB_TRY(const sandbox::Report ignored,
             tools_.run_quietly(argv, [&](std::string_view line) { text.append(line).append("\n"); }));
      return text;
    };
  }

  // What each command of a build gets; Ninja adds nothing.
  [[nodiscard]] std::vector<std::string> with(const std::vector<std::string>& more) const {
    std::vector<std::string> environment = tools_.environment();
    environment.insert(environment.end(), more.begin(), more.end());
    return environment;
  }

  cache::BuildCacheRequest cache_request() {
    return {.places = places_,
            .memos = request_.cache / "memos",
            .targets = request_.targets,
            .environment = with({std::string(kNinjaStatus)}),
            .owner = request_.cache_owner,
            .ask = ask(),
            .now_ms = unix_ms(),
            .remote = remote_ ? &*remote_ : nullptr};
  }

  void add_note(const std::string& note) {
    if (!report_.cache_note.empty() && !note.empty()) report_.cache_note += "; ";
    report_.cache_note += note;
  }

  Status configure() {
    const auto start = steady_clock::now();
    cache::ConfiguredFolder folder(store_, pool_,
                                   {.places = places_,
                                    .command = cmake_command(request_, tools_),
                                    .environment = with(cmake_environment()),
                                    .owner = request_.cache_owner,
                                    .ask = ask(),
                                    .now_ms = unix_ms()});
    SB_TRY(CachedConfigured configured, cached_configure(request_, tools_, progress_, places_, folder));
    report_.configured = configured.ran;
    report_.configure_reason = std::move(configured.reason);
    report_.compiler = std::move(configured.compiler);
    report_.options = std::move(configured.options);
    report_.warnings = std::move(configured.warnings);
    add_note(configured.note);
    report_.configure_time = since(start);
    return {};
  }

  // What the missing common path costs.
  void count_reach(const std::vector<cache::EdgeVerdict>& edges) {
    for (const cache::EdgeVerdict& edge : edges) {
      if (edge.reach == cache::Reach::everywhere) ++report_.edges_shareable;
      if (edge.reach == cache::Reach::at_this_path) ++report_.edges_own;
    }
    if (request_.view) return;
    // The host cannot, or the caller did not ask for it.
    const Result<std::string> mechanism = sandbox::view_mechanism();
    add_note(fmt::format("{}: {} of {} edges can be shared between stages, {} only with this one{}",
                         mechanism ? "no common path of all stages" : "no private mount namespace",
                         report_.edges_shareable, edges.size(), report_.edges_own,
                         mechanism ? std::string() : fmt::format(" ({})", one_line(mechanism.error()))));
  }

  // A warning does not go away because its object file was there already.
  void replay(const std::vector<std::string>& printed) {
    DiagnosticReader reader(places_.source);
    for (const std::string& text : printed) {
      std::size_t at = 0;
      while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        reader.line(std::string_view(text).substr(at, end - at));
        at = end + 1;
      }
      tools_.note(text);
    }
    reader.finish();
    report_.warnings.insert(report_.warnings.end(), reader.warnings().begin(), reader.warnings().end());
  }

  void keep(cache::BuildCache& outputs, const NinjaRun* ninja) {
    const auto printed = [&](std::string_view description) {
      if (ninja == nullptr) return std::string();
      const auto found = ninja->printed.find(description);
      return found == ninja->printed.end() ? std::string() : found->second;
    };
    // The build is good without: the next one is slower.
    if (const auto kept = outputs.keep(printed); !kept) add_note("not kept: " + one_line(kept.error()));
  }

  const BuildRequest& request_;
  ToolRunner& tools_;
  const ProgressSink& progress_;
  cache::ActionStore store_;
  artifacts::OutputPool pool_;
  cache::Places places_;
  std::optional<cache::RemoteTier> remote_;
  LastBuild last_;
  BuildReport report_;
};

}  // namespace

Result<BuildReport> cached_build(const BuildRequest& request, ToolRunner& tools,
                                 const ProgressSink& progress) {
  SB_TRY(cache::ActionStore store, cache::ActionStore::open(request.cache / "actions.db"));
  Result<BuildReport> report = CachedBuild(request, tools, progress, std::move(store)).run();
  if (!report && report.error().kind == ErrorKind::corrupt)
    SB_CHECK(cache::ActionStore::mend(request.cache / "actions.db"));  // or no later build could use it
  return report;
}

Result<std::vector<cache::EdgeVerdict>> explain_edges(const BuildRequest& request,
                                                      const ProgressSink& progress) {
  SB_TRY(ToolRunner tools, ToolRunner::make(request, {}));
  SB_TRY(cache::ActionStore store, cache::ActionStore::open(request.cache / "actions.db"));
  return CachedBuild(request, tools, progress, std::move(store)).explain();
}

Status settle(const std::filesystem::path& cache, std::int64_t owner, bool kept) {
  std::error_code code;
  if (!std::filesystem::exists(cache / "actions.db", code)) return {};
  SB_TRY(cache::ActionStore store, cache::ActionStore::open(cache / "actions.db"));
  SB_CHECK(kept ? store.trust(owner) : store.distrust(owner));
  // What does not arrive there is built again by whoever needs it.
  (void)cache::settle_remote(cache, artifacts::OutputPool(cache / "outputs"), owner, kept, unix_ms());
  return {};
}

}  // namespace sb::build
