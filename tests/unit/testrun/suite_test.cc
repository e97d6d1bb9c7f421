// run_tests on real CTest projects that compile nothing, and on commands.
#include <gtest/gtest.h>

#include "os/file_system.h"
#include "sandbox/run.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "testrun/examiner.h"

namespace sb::testrun::tests {
namespace {

namespace fs = std::filesystem;

class Suite : public ::testing::Test {
 protected:
  Suite() { envelope_.wall = std::chrono::seconds(60); }

  // A configured project with these tests.
  void project(const std::string& tests) {
    sb::tests::write(source() / "CMakeLists.txt",
                     "cmake_minimum_required(VERSION 3.25)\nproject(x NONE)\nenable_testing()\n" + tests);
    const sandbox::Command configure{
        .argv = {"cmake", "-G", "Ninja", "-S", source().string(), "-B", build().string()},
        .environment = sandbox::clean_environment(folder_.path().string()),
        .directory = folder_.path().string()};
    std::string output;
    ASSERT_OK(const sandbox::Report report,
              sandbox::run(configure, envelope_, [&](std::string_view piece) { output += piece; }));
    ASSERT_TRUE(report.ok()) << report.to_string() << "\n" << output;
  }
  TestRequest request(std::vector<std::string> command = {}) {
    fs::create_directories(source());
    fs::create_directories(build());
    return {.source = source(),
            .build = build(),
            .command = std::move(command),
            .ctest_arguments = {},
            .envelope = envelope_,
            .log = folder_.path() / "log"};
  }
  fs::path source() const { return folder_.path() / "source"; }
  fs::path build() const { return folder_.path() / "build"; }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  sandbox::Envelope envelope_;
};

TEST_F(Suite, passes_when_every_test_does) {
  project(
      "add_test(NAME a COMMAND ${CMAKE_COMMAND} -E true)\nadd_test(NAME b COMMAND ${CMAKE_COMMAND} -E echo "
      "hello)\n");
  std::vector<std::string> lines;
  ASSERT_OK(const Verdict verdict,
            run_tests(request(), [&](std::string_view line) { lines.emplace_back(line); }));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_EQ(verdict.tests, 2);
  EXPECT_EQ(verdict.failed, 0);
  EXPECT_TRUE(verdict.summary().starts_with("2 passed in ")) << verdict.summary();
  EXPECT_EQ(verdict.reason, "");
  EXPECT_FALSE(verdict.grant.empty());
  EXPECT_GT(lines.size(), 2U);
  EXPECT_NE(sb::tests::read(folder_.path() / "log").find("100% tests passed"), std::string::npos);
}

TEST_F(Suite, names_what_failed_with_its_output) {
  project(
      "add_test(NAME good COMMAND ${CMAKE_COMMAND} -E true)\n"
      "add_test(NAME bad COMMAND sh -c \"echo expected 1, found 2; exit 1\")\n"
      "add_test(NAME missing COMMAND /nowhere/program)\n");
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.tests, 3);
  EXPECT_EQ(verdict.failed, 2);
  EXPECT_EQ(verdict.reason, "2 of 3 tests failed: bad, missing");
  EXPECT_EQ(verdict.summary(), "2 of 3 failed");
  ASSERT_EQ(verdict.failures.size(), 2U);
  EXPECT_EQ(verdict.failures[0].output, "expected 1, found 2\n");
}

TEST_F(Suite, without_any_test_does_not_pass) {
  project("");
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.tests, 0);
  EXPECT_NE(verdict.reason.find("no tests were found"), std::string::npos) << verdict.reason;
}

TEST_F(Suite, with_only_skipped_tests_does_not_pass) {
  project(
      "add_test(NAME s COMMAND sh -c \"exit 77\")\nset_tests_properties(s PROPERTIES SKIP_RETURN_CODE 77)\n");
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.skipped, 1);
  EXPECT_EQ(verdict.reason, "all 1 tests were skipped");
}

TEST_F(Suite, runs_the_selected_tests_only) {
  project(
      "add_test(NAME fast COMMAND ${CMAKE_COMMAND} -E true)\nset_tests_properties(fast PROPERTIES LABELS "
      "unit)\n"
      "add_test(NAME slow COMMAND ${CMAKE_COMMAND} -E false)\n");
  TestRequest selected = request();
  selected.ctest_arguments = {"-L", "unit"};
  ASSERT_OK(const Verdict verdict, run_tests(selected, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_EQ(verdict.tests, 1);
}

TEST_F(Suite, does_not_believe_a_result_file_against_the_exit_code) {
  // The test finds CTest's result file by the command line of its grandparent and cannot win either way:
  // CTest writes it at the end, and a CTest that was killed has no exit code 0.
  project("add_test(NAME killer COMMAND sh -c \"kill -9 $PPID\")\n");
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.reason, "killed by SIGKILL");
}

TEST_F(Suite, over_its_wall_time_says_so) {
  project("add_test(NAME slow COMMAND sleep 1000)\n");
  envelope_.wall = std::chrono::milliseconds(700);
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.reason, "over its wall time of 700 ms");
}

TEST_F(Suite, of_an_unconfigured_folder_is_a_failed_verdict) {
  ASSERT_OK(const Verdict verdict, run_tests(request(), {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_FALSE(verdict.reason.empty());
}

TEST_F(Suite, as_a_command_passes_by_exit_code) {
  ASSERT_OK(const Verdict good, run_tests(request({"sh", "-c", "test -d \"$SELFBUILD_BUILD\" && pwd"}), {}));
  EXPECT_TRUE(good.passed) << good.reason;
  EXPECT_EQ(good.tests, 1);
  EXPECT_EQ(sb::tests::read(folder_.path() / "log"), fs::canonical(source()).string() + "\n");
  ASSERT_OK(const Verdict bad, run_tests(request({"sh", "-c", "echo why; exit 4"}), {}));
  EXPECT_FALSE(bad.passed);
  EXPECT_EQ(bad.reason, "sh -c echo why; exit 4: exit code 4");
  ASSERT_EQ(bad.failures.size(), 1U);
  EXPECT_EQ(bad.failures[0].output, "why\n");
}

TEST_F(Suite, has_a_throw_away_home) {
  ASSERT_OK(
      const Verdict verdict,
      run_tests(request({"sh", "-c", "echo $HOME; touch $HOME/x $TMPDIR/y && [ -z \"$SB_SECRET\" ]"}), {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  const std::string home = sb::tests::read(folder_.path() / "log");
  EXPECT_FALSE(fs::exists(home.substr(0, home.find('\n')))) << home;
}

TEST_F(Suite, that_is_stopped_gives_no_verdict) {
  std::stop_source source;
  EXPECT_ERROR(ErrorKind::interrupted,
               run_tests(
                   request({"sh", "-c", "echo go; sleep 1000"}),
                   [&](std::string_view) { source.request_stop(); }, source.get_token()));
}

TEST_F(Suite, that_cannot_start_is_an_error) {
  EXPECT_ERROR(ErrorKind::environment, run_tests(request({"/nowhere/smoke"}), {}));
}

}  // namespace
}  // namespace sb::testrun::tests
