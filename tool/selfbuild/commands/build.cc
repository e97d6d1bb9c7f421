// selfbuild build: stage and build a revision, and stop there.
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/progress_line.h"
#include "build/trace.h"
#include "build/verification.h"
#include "tool/selfbuild/build_check.h"
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
  std::string verify;  // percent
  std::optional<std::uint64_t> seed;
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

Json piece_json(const Workpiece& piece) {
  return {{"project", piece.subject.project.name},
          {"tree", piece.subject.source.tree},
          {"stage", piece.stage.tree().string()},
          {"build", piece.stage.build().string()},
          {"edges_run", piece.report.edges_run},
          {"edges_cached", piece.report.edges_cached},
          {"edges_total", piece.report.edges_total},
          {"edges_shareable", piece.report.edges_shareable},
          {"edges_own", piece.report.edges_own},
          {"saved_ms", piece.report.saved.count()},
          {"cache_note", piece.report.cache_note},
          {"configured", piece.report.configured},
          {"configure_reason", piece.report.configure_reason},
          {"stage_ms", piece.stage_time.count()},
          {"configure_ms", piece.report.configure_time.count()},
          {"cache_ms", piece.report.cache_time.count()},
          {"keep_ms", piece.report.keep_time.count()},
          {"cache_lock_wait_ms", piece.report.cache_lock_wait.count()},
          {"ninja_ms", piece.report.ninja_time.count()},
          {"warnings", piece.report.warnings.size()},
          {"compiler", piece.report.compiler},
          {"log", piece.log.string()}};
}

std::string piece_text(const Workpiece& piece) {
  return summary_of(piece.report) + fmt::format("  in      {}\n  limits  {}\n", piece.stage.build().string(),
                                                build::limits_line(piece.report));
}

// Nothing when it was not asked for.
std::optional<build::Sample> sample_of(const Options& options) {
  if (options.verify.empty()) return std::nullopt;
  return build::Sample{.percent = std::stoi(options.verify),
                       .seed = options.seed ? *options.seed : std::random_device()()};
}

Result<Workpiece> build_it(Program& program, const Options& options) {
  SB_TRY(Staged staged, stage_revision(program, options.revision, options.patch, options.jobs));
  if (!options.verify.empty()) SB_CHECK(build::check_verifiable(staged.request));
  staged.request.list_edges = options.timings || !options.trace.empty() || !options.verify.empty();
  return build_staged(program, std::move(staged));
}

// Ctrl-C ends what runs, and what it left is removed on the way out.
class StopOnSignal {
 public:
  StopOnSignal() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    waiting_ = std::jthread([this](const std::stop_token& ended) {
      constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 50'000'000};
      while (!ended.stop_requested()) {
        if (::sigtimedwait(&signals_, nullptr, &kLook) > 0) stop_.request_stop();
      }
    });
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal() {
    waiting_.request_stop();
    waiting_.join();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  std::stop_source stop_;
  std::jthread waiting_;
};

Result<build::Verified> verify(const Program& program, const Workpiece& piece, const build::Sample& sample) {
  const StopOnSignal stop;
  build::ProgressLine line(stderr, program.console().err_is_terminal, program.console().columns);
  Result<build::Verified> verified = build::verify_hits(
      piece.request, piece.report, sample, [&](const build::Progress& progress) { line.update(progress); },
      stop.token());
  line.finish();
  if (!verified && verified.error().next.empty()) verified.error().next = "less " + piece.log.string();
  return verified;
}

void say_what_to_do(const build::Verified& verified, const Workpiece& piece) {
  if (verified.wrong.empty()) return;
  std::string_view remote;
  if (!piece.request.remote.url.empty()) remote = "; other machines may still get it from the remote cache";
  Console::say(fmt::format(
      "The stage has what was wrong. The cache has dropped it{}.\n\nnext:\n  selfbuild build", remote));
}

Result<int> run(Program& program, const Options& options) {
  std::optional<build::TraceFile> trace;
  if (!options.trace.empty()) {
    SB_TRY(build::TraceFile file, build::TraceFile::open(program.directory() / options.trace));
    trace.emplace(std::move(file));
  }
  SB_TRY(const Workpiece piece, build_it(program, options));
  if (trace) SB_CHECK(trace->write(build::trace_of(piece.report)));
  if (!program.json()) {
    Console::data(piece_text(piece));
    if (options.timings) Console::data("\n" + build_timings(piece.report));
  }
  const std::optional<build::Sample> sample = sample_of(options);
  build::Verified verified;
  if (sample) {
    SB_TRY(verified, verify(program, piece, *sample));
  }
  if (program.json()) {
    Json value = piece_json(piece);
    value["timings"] = options.timings ? build_timings_json(piece.report) : Json();
    value["trace"] = options.trace.empty() ? Json() : Json(options.trace);
    value["verified"] = sample ? check_json(verified, *sample) : Json();
    Console::json(value);
  } else if (sample) {
    Console::data("\n" + check_text(verified, *sample));
  }
  say_what_to_do(verified, piece);
  return verified.wrong.empty() ? kDone : kRefused;
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
                                 "and where the time went; open the file in https://ui.perfetto.dev"},
                                {"selfbuild build --verify=100",
                                 "and whether all that came from the cache is what a build makes"}},
                   .changes = "a stage in the cache, and FILE; no version, no history, nothing that runs. "
                              "--verify: a second stage while it lasts; wrong results go.",
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
  CLI::Option* verify =
      command
          .add_flag(
              "--verify{10}", options->verify,
              "Build 10 % of what came from the cache once more, and compare the bytes; --verify=PERCENT for "
              "another share. A difference drops the result, and is a failure")
          ->check(CLI::Range(1, 100));
  command
      .add_option("--verify-seed", options->seed,
                  "Verify the same share again: the seed that the last time printed")
      ->type_name("N")
      ->needs(verify);
  program.add_json_option(command);
}

}  // namespace sb::tool
