#include "bus/task_queue.h"

#include <fmt/format.h>

#include "bus/schema.h"

namespace sb::bus {
namespace {

constexpr std::string_view kComponent = "tasks";
constexpr sqlite::Migration kMigrations[] = {{.number = 1, .sql = schema::k001_tasks}};
constexpr std::string_view kColumns = "id, cycle, title, payload, status, attempt, created_at, result";

Task read_task(const sqlite::Statement& row) {
  return {.id = row.integer(0),
          .cycle = row.integer(1),
          .title = row.text(2),
          .payload = row.text(3),
          .status = row.text(4),
          .attempt = static_cast<int>(row.integer(5)),
          .created_ms = row.integer(6),
          .result = row.text(7)};
}

Result<std::vector<Task>> read_tasks(sqlite::Statement& rows) {
  std::vector<Task> tasks;
  while (true) {
    SB_TRY(const bool found, rows.step());
    if (!found) return tasks;
    tasks.push_back(read_task(rows));
  }
}

Result<std::optional<Task>> task_with(sqlite::Database& database, std::int64_t id) {
  SB_TRY(sqlite::Statement row, database.prepare(fmt::format("SELECT {} FROM task WHERE id=?1", kColumns)));
  SB_TRY(const bool found, row.bind(1, id).step());
  if (!found) return std::nullopt;
  return read_task(row);
}

// Why finish did not find the running attempt that it wanted to end.
Error not_the_owner(const std::optional<Task>& task, std::int64_t id, int attempt) {
  if (!task) return make_error(ErrorKind::not_found, fmt::format("there is no task {}", id));
  Error error = make_error(ErrorKind::interrupted, fmt::format("task {} is no longer this claimer's", id));
  error.expected = fmt::format("attempt {}, not ended", attempt);
  error.found = fmt::format("attempt {}, {}", task->attempt, task->status);
  return error;
}

}  // namespace

Result<TaskQueue> TaskQueue::open(sqlite::Database& database) {
  SB_CHECK(doing("opening the task queue", database.migrate(kComponent, kMigrations)));
  return TaskQueue(database);
}

Result<std::int64_t> TaskQueue::add(const Task& task) {
  SB_TRY(sqlite::Statement insert,
         database_->prepare("INSERT INTO task(cycle, title, payload, status, created_at)"
                            " VALUES(?1, ?2, ?3, 'pending', ?4)"));
  SB_CHECK(
      insert.bind(1, task.cycle).bind(2, task.title).bind(3, task.payload).bind(4, task.created_ms).run());
  return database_->last_insert_id();
}

Result<std::optional<Task>> TaskQueue::claim() {
  std::optional<Task> claimed;
  const auto take_oldest = [&]() -> Status {
    SB_TRY(sqlite::Statement oldest,
           database_->prepare(
               "SELECT id FROM task WHERE status='pending'"
               " AND NOT EXISTS (SELECT 1 FROM task WHERE status='running') ORDER BY id LIMIT 1"));
    SB_TRY(const bool found, oldest.step());
    if (!found) return {};
    const std::int64_t id = oldest.integer(0);
    SB_TRY(sqlite::Statement update,
           database_->prepare("UPDATE task SET status='running', attempt=attempt+1 WHERE id=?1"));
    SB_CHECK(update.bind(1, id).run());
    SB_TRY(claimed, task_with(*database_, id));
    return {};
  };
  SB_CHECK(doing("claiming a task", database_->transaction(take_oldest)));
  return claimed;
}

Status TaskQueue::release(std::int64_t task) {
  // A task that has ended stays ended: a claimer's connection closes after its answer, too.
  SB_TRY(sqlite::Statement update,
         database_->prepare("UPDATE task SET status='pending' WHERE id=?1 AND status='running'"));
  return update.bind(1, task).run();
}

Status TaskQueue::release_all() {
  return database_->execute("UPDATE task SET status='pending' WHERE status='running'");
}

Status TaskQueue::finish(std::int64_t task, int attempt, bool ok, const std::string& result_json) {
  // Pending counts, too: the conductor was restarted or the connection broke, but nobody else has begun. What
  // was done is done, and need not be done again.
  SB_TRY(
      sqlite::Statement update,
      database_->prepare("UPDATE task SET status=?3, result=?4"
                         " WHERE id=?1 AND attempt=?2 AND attempt>0 AND status IN ('pending', 'running')"));
  SB_CHECK(
      update.bind(1, task).bind(2, attempt).bind(3, ok ? "completed" : "failed").bind(4, result_json).run());
  if (database_->changes() == 1) return {};
  SB_TRY(const std::optional<Task> now, task_with(*database_, task));
  // The same answer again, because its first receipt was lost: nothing to do.
  if (now && now->attempt == attempt && now->status == (ok ? "completed" : "failed")) return {};
  return fail(not_the_owner(now, task, attempt));
}

Result<std::vector<Task>> TaskQueue::list(int limit) {
  SB_TRY(sqlite::Statement rows,
         database_->prepare(fmt::format("SELECT {} FROM task ORDER BY id DESC LIMIT ?1", kColumns)));
  rows.bind(1, limit);
  return read_tasks(rows);
}

Result<std::vector<Task>> TaskQueue::open_tasks() {
  SB_TRY(sqlite::Statement rows,
         database_->prepare(fmt::format(
             "SELECT {} FROM task WHERE status IN ('pending', 'running') ORDER BY id", kColumns)));
  return read_tasks(rows);
}

}  // namespace sb::bus
