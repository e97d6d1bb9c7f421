// selfbuild build: stage and build a revision, and stop there.
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/trace.h"
#include "tool/selfbuild/build_timings.h"
#include "tool/selfbuild/submit.h"
#include "tool/selfbuild/workbench.h"

namespace sb::tool {
namespace {

struct Options {
  std::string revision = "HEAD";
  std::string patch;
  int jobs = 0;
  bool timings = false;
  std::string trace;
};

// "built 3 of 412 edges in 0.9 s; 409 from the cache in 31 ms, instead of 5 min 02 s"
std::string summary_of(const build::BuildReport& report) {
  std::string text = fmt::format("built {} of {} edges in {}", report.edges_run, report.edges_total,
                                 human_duration(report.ninja_time));
  if (report.edges_cached > 0) {
    text += fmt::format("; {} from the cache in {}, instead of {}", report.edges_cached,
                        human_duration(report.cache_time), human_duration(report.saved));
  }
  text += '\n';
  if (report.configured)
    text += fmt::format("  configured in {} ({})\n", human_duration(report.configure_time),
                        report.configure_reason);
  if (!report.cache_note.empty()) text += fmt::format("  cache   {}\n", report.cache_note);
  return text;
}

Result<Workpiece> build_it(Program& program, const Options& options) {
  SB_TRY(Staged staged, stage_revision(program, options.revision, options.patch, options.jobs));
  staged.request.list_edges = options.timings || !options.trace.empty();
  return build_staged(program, std::move(staged));
}

Result<int> run(Program& program, const Options& options) {
  std::optional<build::TraceFile> trace;
  if (!options.trace.empty()) {
    SB_TRY(build::TraceFile file, build::TraceFile::open(program.directory() / options.trace));
    trace.emplace(std::move(file));
  }
  SB_TRY(const Workpiece piece, build_it(program, options));
  if (trace) SB_CHECK(trace->write(build::trace_of(piece.report)));
  if (program.json()) {
    Console::json({{"project", piece.subject.project.name},
                   {"tree", piece.subject.source.tree},
                   {"stage", piece.stage.tree().string()},
                   {"build", piece.stage.build().string()},
                   {"edges_run", piece.report.edges_run},
                   {"edges_cached", piece.report.edges_cached},
                   {"edges_total", piece.report.edges_total},
                   {"saved_ms", piece.report.saved.count()},
                   {"cache_note", piece.report.cache_note},
                   {"configured", piece.report.configured},
                   {"configure_reason", piece.report.configure_reason},
                   {"stage_ms", piece.stage_time.count()},
                   {"configure_ms", piece.report.configure_time.count()},
                   {"cache_ms", piece.report.cache_time.count()},
                   {"keep_ms", piece.report.keep_time.count()},
                   {"ninja_ms", piece.report.ninja_time.count()},
                   {"warnings", piece.report.warnings.size()},
                   {"compiler", piece.report.compiler},
                   {"log", piece.log.string()},
                   {"timings", options.timings ? build_timings_json(piece.report) : Json()},
                   {"trace", options.trace.empty() ? Json() : Json(options.trace)}});
    return kDone;
  }
  Console::data(summary_of(piece.report));
  Console::data(fmt::format("  in      {}\n  limits  {}\n", piece.stage.build().string(),
                            sandbox::to_line(piece.report.grant)));
  if (options.timings) Console::data("\n" + build_timings(piece.report));
  return kDone;
}

}  // namespace

void add_build(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("build", "Update",
                  {.sentence = "Stage and build a revision, and stop there.",
                   .examples = {{"selfbuild build", "the commit that HEAD names"},
                                {"selfbuild build --patch fix.patch", "HEAD with a patch on top"},
                                {"selfbuild build --timings --trace build.json",
                                 "and where the time went; open the file in https://ui.perfetto.dev"}},
                   .changes = "a stage in the cache, and FILE; no version, no history, nothing that runs",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.add_option("REV", options->revision, "The revision to build")->capture_default_str();
  add_patch_option(command, options->patch);
  command.add_option("--jobs", options->jobs, "How many compilers at once; 0 lets Ninja decide")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_flag("--timings", options->timings, "Add where the time went, and the slowest edges that ran");
  command
      .add_option("--trace", options->trace,
                  "Write what ran when, for Perfetto and chrome://tracing, after a build that went well")
      ->type_name("FILE");
  program.add_json_option(command);
}

}  // namespace sb::tool
