// One build, top to bottom: from the cache, or else configure when needed, run Ninja, report.
#include "build/builder.h"

#include "base/text.h"
#include "build/cached_build.h"
#include "build/configure.h"
#include "build/ninja.h"
#include "build/tool_runner.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

Result<int> edges_of(const BuildRequest& request, ToolRunner& tools, Configuration& configuration) {
  const std::string key = join(request.targets, " ");
  if (const auto known = configuration.edge_counts.find(key); known != configuration.edge_counts.end()) {
    return known->second;
  }
  SB_TRY(const int edges, count_edges(request, tools));
  configuration.edge_counts[key] = edges;
  SB_CHECK(save(configuration, request.build));
  return edges;
}

// Kinds that say something about the host or the store; the others are about the project, and final.
bool is_of_the_cache(ErrorKind kind) {
  return kind == ErrorKind::corrupt || kind == ErrorKind::environment || kind == ErrorKind::not_found ||
         kind == ErrorKind::conflict || kind == ErrorKind::bug;
}

// By the times of files alone, in a folder that an earlier build may have filled.
Result<BuildReport> plain_build(const BuildRequest& request, ToolRunner& tools,
                                const ProgressSink& progress) {
  BuildReport report;
  auto start = std::chrono::steady_clock::now();
  SB_TRY(Configured configured, configure(request, tools, progress));
  report.timeline.add_phase("configure", start);

  const NinjaLog log(request);
  start = std::chrono::steady_clock::now();
  SB_TRY(NinjaRun run, run_ninja(request, tools, progress));
  report.ninja_time =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  report.timeline.add_phase("ninja", start);
  log.add_edges(start, report.timeline);
  if (run.ran_cmake) {
    SB_TRY(configured.configuration, record_configuration(request));
    if (!configured.ran) configured.reason = "Ninja found build.ninja out of date";
    configured.ran = true;
  }
  report.configured = configured.ran;
  report.configure_reason = std::move(configured.reason);
  report.configure_time = configured.took;
  report.edges_run = run.edges_run;
  SB_TRY(report.edges_total, edges_of(request, tools, configured.configuration));
  report.compiler = configured.configuration.compiler;
  report.options = configured.configuration.options_json;
  report.warnings = std::move(configured.warnings);
  report.warnings.insert(report.warnings.end(), run.warnings.begin(), run.warnings.end());
  report.grant = std::move(run.grant);
  return report;
}

}  // namespace

std::optional<sandbox::View> stage_view(const std::filesystem::path& folder) {
  if (!sandbox::view_mechanism()) return std::nullopt;
  // What git says of a stage differs from commit to commit, and no depfile tells that somebody asked.
  return sandbox::View{
      .folder = folder.string(), .at = std::string(cache::kStagePath), .hidden = {"tree/.git"}};
}

std::string limits_line(const BuildReport& report) {
  return report.grant.empty() ? "nothing had to run" : sandbox::to_line(report.grant);
}

Result<BuildReport> build(const BuildRequest& request, const ProgressSink& progress,
                          const std::stop_token& stop) {
  SB_TRY(ToolRunner tools, ToolRunner::make(request, stop));
  std::string note;
  if (!request.cache.empty()) {
    Result<BuildReport> report = cached_build(request, tools, progress);
    if (report || !is_of_the_cache(report.error().kind)) return report;
    // Slower, but right: nothing that the cache may have left half done is believed.
    note = one_line(report.error());
    SB_CHECK(os::remove_tree(request.build));
    SB_CHECK(os::make_folders(request.build));
  }
  SB_TRY(BuildReport report, plain_build(request, tools, progress));
  report.cache_note = std::move(note);
  return report;
}

}  // namespace sb::build
