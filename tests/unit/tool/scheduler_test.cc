// The worker's clock: which projects it starts nightly for, and when.
#include "tool/selfbuild/scheduler.h"

#include <ctime>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/program.h"
#include "support/result_matchers.h"
#include "tool/selfbuild/command.h"
#include "update/request.h"

namespace sb::tool {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::int64_t local(int hour, int minute, int second = 0) {
  std::tm parts{};
  parts.tm_year = 126;  // 2026-11-20, a Friday
  parts.tm_mon = 10;
  parts.tm_mday = 20;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  parts.tm_isdst = -1;
  return std::mktime(&parts);
}

class SchedulerTest : public testing::Test {
 protected:
  [[nodiscard]] std::string repository(const std::string& project) const {
    return (folder_.path() / project).string();
  }

  void git(const std::string& project, const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv{"git", "-c", "user.name=test", "-c", "user.email=test@localhost"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const sb::tests::Finished git = sb::tests::run_program(
        argv, repository(project), {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}});
    ASSERT_EQ(git.code, 0) << git.all();
  }

  void commit_manifest(const std::string& project, const std::string& text) const {
    sb::tests::write(folder_.path() / project / "selfbuild.yaml", text);
    git(project, {"add", "."});
    git(project, {"commit", "--quiet", "--message", "manifest"});
  }

  // A project whose newest update came from its own repository; `schedule` as its manifest has it.
  void add_project(const std::string& project, const std::string& schedule) {
    std::filesystem::create_directories(repository(project));
    git(project, {"init", "--quiet", "--initial-branch", "main"});
    commit_manifest(project, manifest(project, schedule));
    update::Request request;
    request.project = project;
    request.repository = repository(project);
    request.commit = std::string(40, 'a');
    history::Cycle cycle;
    cycle.kind = history::CycleKind::update;
    cycle.project = project;
    cycle.improvement_plan = to_json_text(request);
    ASSERT_GOOD(past_.begin_cycle(cycle, "{}"));
  }

  static std::string manifest(const std::string& project, const std::string& schedule) {
    return fmt::format(
        "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {{name: {}}}\nspec:\n{}  build: {{outputs: "
        "[bin/x]}}\n",
        project, schedule.empty() ? "" : fmt::format("  schedule: \"{}\"\n", schedule));
  }

  Scheduler scheduler_from(std::int64_t now) {
    const auto launch = [this](const std::string& repository) {
      launched_.push_back(repository);
      waiting_.push_back(sb::tests::read(due_));
      if (codes_.empty()) return 0;
      const int code = codes_.front();
      codes_.erase(codes_.begin());
      return code;
    };
    return Scheduler(past_, launch, now, due_);
  }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  os::SystemClock clock_;
  history::History past_ = history::History::open(folder_.path() / "selfbuild.db", clock_).value();
  std::filesystem::path due_ = folder_.path() / "nightly.due";
  std::vector<std::string> launched_;
  std::vector<std::string> waiting_;  // the file of what is due, as each run found it
  std::vector<int> codes_;            // the exit codes of the runs; 0 when there are no more
};

TEST_F(SchedulerTest, launches_in_the_scheduled_minute_and_once) {
  add_project("hello", "30 3 * * *");
  Scheduler scheduler = scheduler_from(local(3, 29, 50));
  scheduler.tick(local(3, 29, 59));
  EXPECT_THAT(launched_, IsEmpty());
  scheduler.tick(local(3, 30, 5));
  EXPECT_THAT(launched_, ElementsAre(repository("hello")));
  scheduler.tick(local(3, 30, 25));
  scheduler.tick(local(3, 31, 0));
  EXPECT_THAT(launched_, ElementsAre(repository("hello")));
}

TEST_F(SchedulerTest, starts_one_run_for_all_that_a_sleeping_host_missed) {
  add_project("hello", "*/10 * * * *");
  Scheduler scheduler = scheduler_from(local(1, 5));
  scheduler.tick(local(9, 5));
  EXPECT_THAT(launched_, ElementsAre(repository("hello")));
}

TEST_F(SchedulerTest, does_not_run_what_was_due_before_it_was_made) {
  add_project("hello", "30 3 * * *");
  Scheduler scheduler = scheduler_from(local(3, 31));
  scheduler.tick(local(12, 0));
  EXPECT_THAT(launched_, IsEmpty());
}

TEST_F(SchedulerTest, gives_a_project_that_found_another_cycle_running_its_turn_at_the_next_tick) {
  add_project("a", "30 3 * * *");
  add_project("b", "30 3 * * *");
  Scheduler scheduler = scheduler_from(local(3, 29, 50));
  codes_ = {kBusy, 0};
  scheduler.tick(local(3, 30, 5));
  EXPECT_THAT(launched_, ElementsAre(repository("a"), repository("b"))) << "one after the other";
  scheduler.tick(local(3, 30, 25));
  EXPECT_THAT(launched_, ElementsAre(repository("a"), repository("b"), repository("a")));
  scheduler.tick(local(3, 30, 45));
  EXPECT_EQ(launched_.size(), 3U);
}

TEST_F(SchedulerTest, leaves_what_is_due_to_the_worker_that_replaces_this_one) {
  add_project("a", "30 3 * * *");
  add_project("b", "30 3 * * *");
  Scheduler scheduler = scheduler_from(local(3, 29, 50));
  scheduler.tick(local(3, 30, 5));
  ASSERT_THAT(waiting_, ElementsAre(repository("b") + "\n", ""));
  sb::tests::write(due_, waiting_.front());  // as if the run of a had replaced the worker
  Scheduler successor = scheduler_from(local(3, 31));
  successor.tick(local(3, 31, 20));
  EXPECT_THAT(launched_, ElementsAre(repository("a"), repository("b"), repository("b")));
}

TEST_F(SchedulerTest, passes_over_projects_that_have_no_schedule_or_cannot_be_read) {
  add_project("a-without", "");
  add_project("b-broken", "@hourly");
  commit_manifest("b-broken", "kind: Nonsense\n");
  add_project("c-moved", "@hourly");
  std::filesystem::remove_all(repository("c-moved"));
  add_project("d-good", "@hourly");
  Scheduler scheduler = scheduler_from(local(3, 30));
  scheduler.tick(local(4, 0));
  EXPECT_THAT(launched_, ElementsAre(repository("d-good")));
}

TEST_F(SchedulerTest, follows_the_schedule_as_it_is_committed_now) {
  add_project("hello", "0 5 * * *");
  Scheduler scheduler = scheduler_from(local(3, 30));
  commit_manifest("hello", manifest("hello", "0 4 * * *"));
  scheduler.tick(local(4, 0));
  EXPECT_THAT(launched_, ElementsAre(repository("hello")));
}

}  // namespace
}  // namespace sb::tool
