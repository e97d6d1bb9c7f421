// The history between processes: killed in the middle of a write, and several writing at once.
#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "unit/history/history_test.h"

namespace sb::history {
namespace {

constexpr int kProcesses = 4;

class HistoryCrashTest : public HistoryTest {
 protected:
  // No connection may cross a fork: the parent opens its own only afterwards.
  void SetUp() override {}

  // Runs work with a history of its own in a child; nothing of the test program runs after it.
  template <typename Work>
  pid_t start(Work work) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    Result<History> history = History::open(path_, clock_);
    ::_exit(history && work(*history) ? 0 : 1);
  }
  static int wait(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }
};

TEST_F(HistoryCrashTest, process_killed_in_the_middle_of_a_transaction_leaves_nothing_of_it) {
  const pid_t child = start([](History& history) {
    (void)history.begin_cycle(update_of("demo"), "{}");
    (void)history.begin_cycle(update_of("demo"), "{}", [](std::int64_t) -> Status {
      ::kill(::getpid(), SIGKILL);
      return {};
    });
    return true;
  });
  const int status = wait(child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "status " << status;
  open(mine_);
  EXPECT_EQ(count("build_history"), 1);
  EXPECT_EQ(count("journal"), 1);
  EXPECT_EQ(history().begin_cycle(update_of("demo"), "{}"), 2);
}

TEST_F(HistoryCrashTest, record_whose_append_returned_outlives_the_process) {
  const pid_t child = start([](History& history) {
    const bool recorded =
        history.begin_cycle(update_of("demo"), "{}").has_value() &&
        history.append(1, Step::swapping, "{}", {.status = BuildStatus::swapping}, 0).has_value();
    if (recorded) ::kill(::getpid(), SIGKILL);
    return false;
  });
  ASSERT_TRUE(WIFSIGNALED(wait(child)));
  open(mine_);
  ASSERT_OK(const auto last, history().last_record(1));
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->step, Step::swapping);
  EXPECT_EQ(history().cycle(1)->status, BuildStatus::swapping);
}

TEST_F(HistoryCrashTest, processes_adding_versions_at_once_leave_no_gap_and_share_no_number) {
  constexpr int kEach = 10;
  std::vector<pid_t> children;
  children.reserve(kProcesses);
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(start([process](History& history) {
      for (int i = 0; i < kEach; ++i) {
        if (!history.add_version(version_of("demo", process * kEach + i + 1))) return false;
      }
      return true;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(wait(child), 0);
  open(mine_);
  ASSERT_OK(const auto versions, history().versions("demo"));
  ASSERT_EQ(versions.size(), static_cast<std::size_t>(kProcesses * kEach));
  for (std::size_t i = 0; i < versions.size(); ++i) {
    EXPECT_EQ(versions[i].number, static_cast<int>(versions.size() - i));
  }
}

TEST_F(HistoryCrashTest, processes_adding_the_version_of_one_cycle_agree_on_its_number) {
  std::vector<pid_t> children;
  children.reserve(kProcesses);
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(start([](History& history) {
      return history.add_version(version_of("demo", 7)) == 1 &&
             history.add_version(version_of("demo", 7)) == 1;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(wait(child), 0);
  open(mine_);
  EXPECT_EQ(count("version"), 1);
}

TEST_F(HistoryCrashTest, owners_taking_over_at_once_get_different_numbers) {
  open(mine_);
  ASSERT_GOOD(history().begin_cycle(update_of("demo"), "{}"));
  mine_.reset();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  std::vector<pid_t> children;
  children.reserve(kProcesses);
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(start([&writer](History& history) {
      const Result<std::int64_t> fence = history.take_over(1);
      return fence && ::write(writer.get(), &*fence, sizeof *fence) == sizeof *fence;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(wait(child), 0);
  writer.reset();
  std::vector<std::int64_t> fences;
  std::int64_t fence = 0;
  while (::read(reader.get(), &fence, sizeof fence) == sizeof fence) fences.push_back(fence);
  EXPECT_THAT(fences, ::testing::UnorderedElementsAre(1, 2, 3, 4));
}

}  // namespace
}  // namespace sb::history
