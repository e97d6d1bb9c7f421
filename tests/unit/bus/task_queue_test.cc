// The task queue: one at a time, oldest first, and never lost with whoever does it.
#include "bus/task_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TaskQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  // The first time, and again as after a restart of the conductor.
  void open() {
    queue_.reset();
    database_.reset();
    ASSERT_OK(sqlite::Database database, sqlite::Database::open(folder_.path() / "selfbuild.db"));
    database_.emplace(std::move(database));
    ASSERT_OK(TaskQueue queue, TaskQueue::open(*database_));
    queue_.emplace(queue);
  }
  std::int64_t add(const std::string& title) {
    Task task;
    task.cycle = 7;
    task.title = title;
    task.payload = R"({"cycle":7})";
    task.created_ms = 1000;
    const Result<std::int64_t> id = queue_->add(task);
    EXPECT_TRUE(id.has_value()) << format_error(id.error());
    return id.value_or(0);
  }
  // The claimed task, or one with id 0 when there is none.
  Task claim() {
    const auto task = queue_->claim();
    EXPECT_TRUE(task.has_value()) << format_error(task.error());
    return task.value_or(std::nullopt).value_or(Task());
  }
  Task task(std::int64_t id) {
    for (const Task& one : queue_->list().value_or(std::vector<Task>())) {
      if (one.id == id) return one;
    }
    return {};
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::optional<sqlite::Database> database_;
  std::optional<TaskQueue> queue_;
};

TEST_F(TaskQueueTest, claimed_task_is_the_one_that_was_added) {
  EXPECT_EQ(add("first"), 1);
  const Task claimed = claim();
  EXPECT_EQ(claimed.id, 1);
  EXPECT_EQ(claimed.cycle, 7);
  EXPECT_EQ(claimed.title, "first");
  EXPECT_EQ(claimed.payload, R"({"cycle":7})");
  EXPECT_EQ(claimed.status, "running");
  EXPECT_EQ(claimed.attempt, 1);
  EXPECT_EQ(claimed.created_ms, 1000);
}

TEST_F(TaskQueueTest, one_task_runs_at_a_time_oldest_first) {
  add("first");
  add("second");
  EXPECT_EQ(claim().id, 1);
  EXPECT_EQ(claim().id, 0) << "the first still runs";
  ASSERT_GOOD(queue_->finish(1, 1, true, "{}"));
  EXPECT_EQ(claim().id, 2);
  ASSERT_GOOD(queue_->finish(2, 1, false, "{}"));
  EXPECT_EQ(claim().id, 0);
}

TEST_F(TaskQueueTest, released_task_goes_to_the_next_claimer_before_younger_ones) {
  add("first");
  add("second");
  EXPECT_EQ(claim().attempt, 1);
  ASSERT_GOOD(queue_->release(1));
  const Task again = claim();
  EXPECT_EQ(again.id, 1);
  EXPECT_EQ(again.attempt, 2);
}

TEST_F(TaskQueueTest, restart_frees_what_was_running_and_loses_nothing) {
  add("first");
  add("second");
  claim();
  open();
  EXPECT_EQ(claim().id, 0) << "held until the queue is told that the claimer has gone";
  ASSERT_GOOD(queue_->release_all());
  const Task again = claim();
  EXPECT_EQ(again.id, 1);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(task(2).status, "pending");
}

TEST_F(TaskQueueTest, result_is_kept_with_the_task) {
  add("good");
  claim();
  ASSERT_GOOD(queue_->finish(1, 1, true, R"({"version":3})"));
  EXPECT_EQ(task(1).status, "completed");
  EXPECT_EQ(task(1).result, R"({"version":3})");
  add("bad");
  claim();
  ASSERT_GOOD(queue_->finish(2, 1, false, R"({"failure":"x"})"));
  EXPECT_EQ(task(2).status, "failed");
}

TEST_F(TaskQueueTest, claimer_that_was_replaced_cannot_finish_the_task) {
  add("first");
  claim();
  ASSERT_GOOD(queue_->release(1));
  claim();
  const Status late = queue_->finish(1, 1, false, "{}");
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().kind, ErrorKind::interrupted);
  EXPECT_EQ(late.error().expected, "attempt 1, not ended");
  EXPECT_EQ(late.error().found, "attempt 2, running");
  EXPECT_EQ(task(1).status, "running");
  ASSERT_GOOD(queue_->finish(1, 2, true, "{}"));
  EXPECT_EQ(task(1).status, "completed");
}

TEST_F(TaskQueueTest, claimer_whose_lease_ended_may_still_answer_while_nobody_else_claimed) {
  add("first");
  claim();
  ASSERT_GOOD(queue_->release_all());
  ASSERT_GOOD(queue_->finish(1, 1, true, "{}"));
  EXPECT_EQ(claim().id, 0) << "it is not done twice";
}

TEST_F(TaskQueueTest, same_answer_twice_is_fine_and_a_different_one_is_not) {
  add("first");
  claim();
  ASSERT_GOOD(queue_->finish(1, 1, true, R"({"n":1})"));
  ASSERT_GOOD(queue_->finish(1, 1, true, R"({"n":2})"));
  EXPECT_EQ(task(1).result, R"({"n":1})");
  EXPECT_ERROR(ErrorKind::interrupted, queue_->finish(1, 1, false, "{}"));
}

TEST_F(TaskQueueTest, task_that_nobody_claimed_cannot_be_finished) {
  add("first");
  EXPECT_ERROR(ErrorKind::interrupted, queue_->finish(1, 0, true, "{}"));
  EXPECT_ERROR(ErrorKind::not_found, queue_->finish(9, 1, true, "{}"));
  EXPECT_EQ(task(1).status, "pending");
}

TEST_F(TaskQueueTest, ended_task_is_not_released) {
  add("first");
  claim();
  ASSERT_GOOD(queue_->finish(1, 1, true, "{}"));
  ASSERT_GOOD(queue_->release(1));
  ASSERT_GOOD(queue_->release_all());
  EXPECT_EQ(task(1).status, "completed");
}

TEST_F(TaskQueueTest, task_added_in_a_transaction_that_fails_was_never_there) {
  const Status failed = database_->transaction([&]() -> Status {
    add("lost");
    return fail(ErrorKind::refused, "changed our mind");
  });
  EXPECT_FALSE(failed.has_value());
  EXPECT_THAT(queue_->list().value(), IsEmpty());
}

TEST_F(TaskQueueTest, lists_are_newest_first_and_open_tasks_oldest_first) {
  const auto ids = [](const Result<std::vector<Task>>& tasks) {
    std::vector<std::int64_t> numbers;
    for (const Task& one : tasks.value()) numbers.push_back(one.id);
    return numbers;
  };
  for (const char* title : {"a", "b", "c"}) add(title);
  claim();
  ASSERT_GOOD(queue_->finish(1, 1, true, "{}"));
  claim();
  EXPECT_THAT(ids(queue_->list()), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids(queue_->list(2)), ElementsAre(3, 2));
  EXPECT_THAT(ids(queue_->open_tasks()), ElementsAre(2, 3));
}

TEST_F(TaskQueueTest, database_itself_refuses_a_second_running_task) {
  add("first");
  add("second");
  claim();
  EXPECT_ERROR(ErrorKind::conflict, database_->execute("UPDATE task SET status='running' WHERE id=2"));
}

}  // namespace
}  // namespace sb::bus
