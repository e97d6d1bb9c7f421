// What is committed on a loop reaches the disk without it.
#include "sqlite/commit_sync.h"

#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/held_syncs.h"
#include "support/result_matchers.h"
#include "support/slow_disk.h"
#include "support/wait.h"

namespace sb::sqlite {
namespace {

using testing::ElementsAre;
using tests::HeldSyncs;

class CommitSyncTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv(tests::kHeldSyncs, held_file_.c_str(), 1);
    Result<Database> database = Database::open(file_);
    ASSERT_TRUE(database);
    database_.emplace(std::move(*database));
    ASSERT_GOOD(database_->execute("CREATE TABLE t(number INTEGER)"));
    sync_.emplace(file_, [this](std::function<void()> callback) {
      const std::scoped_lock lock(mutex_);
      posted_.push_back(std::move(callback));
    });
    database_->leave_syncs_to(*sync_);
    // The first sync of a log is also one of its folder.
    insert(0);
    run_until_durable();
  }
  void TearDown() override {
    database_.reset();
    sync_.reset();
  }
  void insert(int number) {
    ASSERT_GOOD(database_->execute("INSERT INTO t VALUES(" + std::to_string(number) + ")"));
  }
  // What the thread has left for the loop.
  void run_posted() {
    std::vector<std::function<void()>> callbacks;
    {
      const std::scoped_lock lock(mutex_);
      callbacks = std::exchange(posted_, {});
    }
    for (const auto& callback : callbacks) callback();
  }
  void run_until(const std::function<bool()>& condition) {
    tests::wait_until([&] {
      run_posted();
      return condition();
    });
  }

  void run_until_durable() {
    bool durable = false;
    sync_->when_durable([&](const Status&) { durable = true; });
    run_until([&] { return durable && sync_->idle(); });
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::filesystem::path file_ = folder_.path() / "test.db";
  std::filesystem::path held_file_ = folder_.path() / "held";
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::optional<CommitSync> sync_;
  std::optional<Database> database_;
};

TEST_F(CommitSyncTest, lets_the_loop_go_on_while_the_disk_does_not_answer) {
  std::optional<HeldSyncs> held(held_file_);
  const int mine = tests::syncs_of_this_thread();
  std::vector<int> durable;
  const int before = tests::syncs();
  insert(1);
  sync_->when_durable([&](const Status& status) { durable.push_back(status ? 1 : -1); });
  tests::wait_until([&] { return tests::syncs() > before; });
  // The thread waits for the disk now.
  for (int i = 2; i <= 3 * kCheckpointPages; ++i) insert(i);
  sync_->when_durable([&](const Status& status) { durable.push_back(status ? 2 : -2); });
  run_posted();
  EXPECT_THAT(durable, ElementsAre());
  EXPECT_FALSE(sync_->idle());
  EXPECT_EQ(tests::syncs_of_this_thread(), mine);
  held.reset();
  run_until([&] { return durable.size() == 2; });
  EXPECT_THAT(durable, ElementsAre(1, 2));
  run_until([&] { return sync_->idle(); });
}

TEST_F(CommitSyncTest, syncs_once_for_all_that_was_committed_meanwhile) {
  std::optional<HeldSyncs> held(held_file_);
  int durable = 0;
  const int before = tests::syncs();
  insert(0);
  sync_->when_durable([&](const Status&) { ++durable; });
  tests::wait_until([&] { return tests::syncs() > before; });
  for (int i = 1; i <= 64; ++i) {
    insert(i);
    sync_->when_durable([&](const Status&) { ++durable; });
  }
  held.reset();
  run_until([&] { return durable == 65; });
  EXPECT_EQ(tests::syncs(), before + 2);
}

TEST_F(CommitSyncTest, says_at_once_that_nothing_is_left_to_do) {
  bool durable = false;
  sync_->when_durable([&](const Status& status) { durable = status.has_value(); });
  EXPECT_TRUE(durable);
}

TEST_F(CommitSyncTest, syncs_what_nobody_asks_for) {
  const int before = tests::syncs();
  insert(1);
  EXPECT_FALSE(sync_->idle());
  run_until([&] { return sync_->idle(); });
  EXPECT_EQ(tests::syncs(), before + 1);
}

TEST_F(CommitSyncTest, does_other_things_too_and_says_when_one_failed) {
  const auto outcome_of = [this](const Status& other) {
    sync_->also([other] { return other; });
    std::optional<Status> outcome;
    sync_->when_durable([&](const Status& status) { outcome = status; });
    run_until([&] { return outcome.has_value(); });
    return *outcome;
  };
  EXPECT_TRUE(outcome_of({}));
  EXPECT_ERROR(ErrorKind::environment, outcome_of(fail(ErrorKind::environment, "no disk")));
  EXPECT_TRUE(outcome_of({}));
}

TEST_F(CommitSyncTest, brings_the_log_into_the_file_so_that_it_does_not_grow) {
  constexpr std::uintmax_t kFrame = 4096 + 24;
  std::uintmax_t inserted = 0;
  for (int round = 0; round < 5; ++round) {
    const std::uintmax_t before = std::filesystem::file_size(file_);
    for (; std::filesystem::file_size(file_) == before; ++inserted) insert(1);
    run_until_durable();
  }
  EXPECT_GE(inserted, 4U * kCheckpointPages);
  EXPECT_LE(std::filesystem::file_size(file_.string() + "-wal"), inserted * kFrame * 3 / 4);
}

}  // namespace
}  // namespace sb::sqlite
