// The errors that a person meets first: what failed, what was expected, and the next command, to the letter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_line.h"
#include "history/history.h"
#include "support/golden.h"
#include "support/result_matchers.h"

namespace sb::tool {
namespace {

class Errors : public testing::Test {
 protected:
  // The command must end with this code, print nothing to standard output, and say what the golden file
  // holds.
  void expect(const std::string& golden, int code, const std::vector<std::string>& arguments) {
    const tests::Ran ran = line.run(arguments);
    EXPECT_EQ(ran.code, code) << ran.err;
    EXPECT_EQ(ran.out, "");
    sb::tests::expect_golden("errors/" + golden + ".txt",
                             sb::tests::normalised(ran.err, {{line.folder().string(), "<folder>"},
                                                             {line.home().string(), "<home>"}}));
  }

  // A project `hello` with v1 and v2.
  void build_two_versions() {
    ASSERT_OK(const os::Home home, os::Home::at(line.home()));
    const os::SystemClock clock;
    ASSERT_OK(history::History past, history::History::open(home.database(), clock));
    for (int i = 0; i < 2; ++i) {
      history::Cycle cycle;
      cycle.project = "hello";
      cycle.triggered_by = "cli:test";
      cycle.improvement_plan = R"({"title": "a change"})";
      ASSERT_OK(const std::int64_t id, past.begin_cycle(cycle, R"({"title": "a change"})"));
      history::Version version;
      version.project = "hello";
      version.cycle = id;
      version.tree = std::string(39, 'a') + std::to_string(i);
      ASSERT_OK(const int number, past.add_version(version));
      ASSERT_EQ(number, i + 1);
    }
  }

  tests::CommandLine line;
};

TEST_F(Errors, unknown_command) {
  expect("unknown_command", kUsage, {"updat"});
}
TEST_F(Errors, unknown_option) {
  expect("unknown_option", kUsage, {"history", "--limt", "3"});
}
TEST_F(Errors, unknown_subcommand) {
  expect("unknown_subcommand", kUsage, {"conductor", "statsu"});
}
TEST_F(Errors, missing_subcommand) {
  expect("missing_subcommand", kUsage, {"conductor"});
}
TEST_F(Errors, surplus_argument) {
  expect("surplus_argument", kUsage, {"show", "v1", "v2"});
}
TEST_F(Errors, contradicting_options) {
  expect("contradicting_options", kUsage, {"log", "c-1", "--failed"});
}
TEST_F(Errors, missing_argument) {
  expect("missing_argument", kUsage, {"show"});
}
TEST_F(Errors, wrong_value) {
  expect("wrong_value", kUsage, {"history", "--limit", "many"});
}
TEST_F(Errors, help_for_an_unknown_command) {
  expect("help_unknown", kUsage, {"help", "rolback"});
}
TEST_F(Errors, unknown_shell) {
  expect("unknown_shell", kUsage, {"completions", "bsh"});
}

TEST_F(Errors, not_a_project) {
  expect("not_a_project", kRefused, {"history"});
}
TEST_F(Errors, not_a_project_to_build) {
  expect("not_a_project_to_build", kRefused, {"build"});
}
TEST_F(Errors, conductor_not_running) {
  expect("conductor_not_running", kUnavailable, {"conductor", "status"});
}

TEST_F(Errors, unknown_version) {
  build_two_versions();
  expect("unknown_version", kRefused, {"show", "v9"});
}
TEST_F(Errors, not_a_version) {
  build_two_versions();
  expect("not_a_version", kUsage, {"show", "newest"});
}
TEST_F(Errors, unknown_cycle) {
  build_two_versions();
  expect("unknown_cycle", kRefused, {"explain", "c-44"});
}
TEST_F(Errors, unknown_project) {
  build_two_versions();
  expect("unknown_project", kRefused, {"history", "--project", "helo"});
}
TEST_F(Errors, log_that_is_not_there) {
  build_two_versions();
  expect("no_log", kRefused, {"log", "c-1"});
}
TEST_F(Errors, gc_while_a_cycle_is_open) {
  build_two_versions();
  expect("gc_while_open", kBusy, {"gc"});
}
TEST_F(Errors, no_cycle_yet) {
  expect("no_cycle_yet", kRefused, {"explain"});
}

}  // namespace
}  // namespace sb::tool
