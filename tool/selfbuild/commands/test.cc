// selfbuild test: stage, build and test a revision, and stop there.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "testrun/examiner.h"
#include "tool/selfbuild/submit.h"
#include "tool/selfbuild/workbench.h"

namespace sb::tool {
namespace {

struct Options {
  std::string revision = "HEAD";
  std::string patch;
  int jobs = 0;
};

Json verdict_json(const testrun::Verdict& verdict) {
  Json failures = Json::array();
  for (const testrun::FailedTest& failure : verdict.failures) {
    failures.push_back({{"name", failure.name}, {"output", failure.output}});
  }
  return {{"passed", verdict.passed},   {"tests", verdict.tests},   {"failed", verdict.failed},
          {"skipped", verdict.skipped}, {"reason", verdict.reason}, {"failures", std::move(failures)},
          {"ms", verdict.took.count()}};
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const Workpiece piece, stage_and_build(program, options.revision, options.patch, options.jobs));
  const testrun::TestRequest request{.source = piece.stage.tree(),
                                     .build = piece.stage.build(),
                                     .command = piece.subject.project.test.command,
                                     .ctest_arguments = piece.subject.project.test.ctest,
                                     .envelope = piece.subject.project.test.envelope,
                                     .log = piece.log,
                                     .view = build::stage_view(piece.stage.folder())};
  SB_TRY(const testrun::Verdict verdict, testrun::run_tests(request, {}));
  if (program.json()) {
    Console::json(verdict_json(verdict));
  } else {
    Console::data(fmt::format("{}\n  limits  {}\n", verdict.summary(), sandbox::to_line(verdict.grant)));
    for (const testrun::FailedTest& failure : verdict.failures) {
      Console::data(fmt::format("\n{}\n{}\n", failure.name, failure.output));
    }
    if (!verdict.passed)
      Console::data(fmt::format("\n{}\n\nnext:\n  less {}\n", verdict.reason, piece.log.string()));
  }
  return verdict.passed ? kDone : kRefused;
}

}  // namespace

void add_test(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("test", "Update",
                  {.sentence = "Stage, build and test a revision, and stop there.",
                   .examples = {{"selfbuild test", "the commit that HEAD names"},
                                {"selfbuild test --patch fix.patch", "HEAD with a patch on top"}},
                   .changes = "a stage in the cache; no version, no history, nothing that runs",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.add_option("REV", options->revision, "The revision to test")->capture_default_str();
  add_patch_option(command, options->patch);
  command.add_option("--jobs", options->jobs, "How many compilers at once; 0 lets Ninja decide")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  program.add_json_option(command);
}

}  // namespace sb::tool
