// run_tests: CTest, or any command, in the sandbox; what it printed and counted becomes a verdict.
#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "os/file_system.h"
#include "sandbox/run.h"
#include "testrun/examiner.h"
#include "testrun/junit.h"
#include "testrun/transcript.h"

namespace sb::testrun {
namespace {

constexpr std::size_t kNamesInReason = 5;

std::string names_of(const std::vector<FailedTest>& failures, int failed) {
  std::string names;
  for (std::size_t i = 0; i < std::min(failures.size(), kNamesInReason); ++i) {
    names += (i == 0 ? "" : ", ") + failures[i].name;
  }
  if (static_cast<std::size_t>(failed) > kNamesInReason) {
    names += fmt::format(" and {} more", static_cast<std::size_t>(failed) - kNamesInReason);
  }
  return names;
}

std::string_view plural(int count) {
  return count == 1 ? "test" : "tests";
}

std::string seen(const TestRequest& request, const std::filesystem::path& path) {
  return request.view ? request.view->seen(path).string() : path.string();
}

sandbox::Command ctest_command(const TestRequest& request, const std::filesystem::path& junit,
                               const std::string& home) {
  sandbox::Command command{.argv = {"ctest", "--test-dir", seen(request, request.build), "--output-junit",
                                    junit.string(), "--output-on-failure", "-j",
                                    fmt::to_string(std::max(1U, std::thread::hardware_concurrency()))},
                           .environment = sandbox::clean_environment(home),
                           .directory = seen(request, request.build),
                           .view = request.view};
  command.argv.insert(command.argv.end(), request.ctest_arguments.begin(), request.ctest_arguments.end());
  return command;
}

sandbox::Command own_command(const TestRequest& request, const std::string& home) {
  sandbox::Command command{.argv = request.command,
                           .environment = sandbox::clean_environment(home),
                           .directory = seen(request, request.source),
                           .view = request.view};
  command.environment.push_back("SELFBUILD_SOURCE=" + seen(request, request.source));
  command.environment.push_back("SELFBUILD_BUILD=" + seen(request, request.build));
  return command;
}

// Why the counts are no pass, or empty.
std::string reason_of(const Verdict& verdict, const sandbox::Report& report) {
  if (report.limit != sandbox::LimitHit::none || report.signal != 0) return report.to_string();
  if (verdict.failed > 0) {
    return fmt::format("{} of {} {} failed: {}", verdict.failed, verdict.tests, plural(verdict.tests),
                       names_of(verdict.failures, verdict.failed));
  }
  if (verdict.tests == 0) return "no tests were found: a suite that counts nothing proves nothing";
  if (verdict.tests == verdict.skipped) return fmt::format("all {} tests were skipped", verdict.tests);
  if (report.exit_code != 0) return fmt::format("the suite ended with {}", report.to_string());
  return {};
}

void judge_ctest(Verdict& verdict, const sandbox::Report& report, const std::filesystem::path& junit,
                 const Transcript& transcript) {
  Result<Tally> tally = read_junit(junit);
  if (tally) {
    verdict.tests = tally->tests;
    verdict.failed = tally->failed;
    verdict.skipped = tally->skipped;
    verdict.failures = std::move(tally->failures);
    verdict.reason = reason_of(verdict, report);
  } else if (!report.ok()) {
    verdict.reason = report.signal != 0 || report.limit != sandbox::LimitHit::none
                         ? report.to_string()
                         : fmt::format("ctest ended with {} and left no result", report.to_string());
  } else {
    verdict.reason = one_line(tally.error());
  }
  if (!verdict.reason.empty() && verdict.failures.empty()) {
    verdict.failures.push_back({.name = "ctest", .output = transcript.last(kOutputLines)});
  }
}

void judge_command(Verdict& verdict, const sandbox::Report& report, const std::string& name,
                   const Transcript& transcript) {
  verdict.tests = 1;
  if (report.ok()) return;
  verdict.failed = 1;
  verdict.reason = fmt::format("{}: {}", name, report.to_string());
  verdict.failures.push_back({.name = name, .output = transcript.last(kOutputLines)});
}

}  // namespace

std::string Verdict::summary() const {
  if (failed > 0) return fmt::format("{} of {} failed", failed, tests);
  if (!passed) return reason.empty() ? "not passed" : reason;
  const std::string skip = skipped > 0 ? fmt::format(", {} skipped", skipped) : "";
  return fmt::format("{} passed{} in {}", tests - skipped, skip, human_duration(took));
}

Result<Verdict> run_tests(const TestRequest& request, const LineSink& lines, const std::stop_token& stop) {
  SB_TRY(const os::TemporaryFolder folder, os::TemporaryFolder::make("selfbuild-tests"));
  const std::filesystem::path home = folder.path() / "home";
  const std::filesystem::path junit = folder.path() / "junit.xml";
  SB_CHECK(os::make_folders(home));
  SB_TRY(Transcript transcript, Transcript::open(request.log, lines));

  const bool by_ctest = request.command.empty();
  const sandbox::Command command =
      by_ctest ? ctest_command(request, junit, home.string()) : own_command(request, home.string());
  SB_TRY(
      const sandbox::Report report,
      sandbox::run(command, request.envelope, [&](std::string_view piece) { transcript.take(piece); }, stop));
  transcript.end();
  if (report.stopped) return fail(ErrorKind::interrupted, "the tests were stopped");

  Verdict verdict;
  verdict.took = report.usage.wall;
  verdict.grant = report.grant;
  if (by_ctest) {
    judge_ctest(verdict, report, junit, transcript);
  } else {
    judge_command(verdict, report, join(request.command, " "), transcript);
  }
  // Both, always: a hostile test can write the file, and a broken ctest can return 0.
  verdict.passed =
      report.ok() && verdict.tests > verdict.skipped && verdict.failed == 0 && verdict.reason.empty();
  return verdict;
}

}  // namespace sb::testrun
