// TaskQueue: work that outlives whoever does it. In the conductor's database; one task runs at a time.
//
// A claim is a lease bound to the claimer's connection: when that ends, the task is free again at once and
// the next claimer gets it, with a higher attempt number. Not thread-safe; used from the conductor's event
// loop only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"

namespace sb::bus {

struct Task {
  std::int64_t id = 0;
  std::int64_t cycle = 0;
  std::string title;
  std::string payload;  // JSON, opaque to the conductor
  std::string status;   // pending | running | completed | failed
  int attempt = 0;      // how often it was claimed
  std::int64_t created_ms = 0;
  std::string result;  // JSON, once completed or failed
};

class TaskQueue {
 public:
  [[nodiscard]] static Result<TaskQueue> open(sqlite::Database& database);

  // Inside the caller's transaction. Takes cycle, title, payload and created_ms from task; ids ascend from 1.
  [[nodiscard]] Result<std::int64_t> add(const Task& task);
  // The oldest pending task becomes running, when none is running. Nothing when there is nothing to do.
  [[nodiscard]] Result<std::optional<Task>> claim();
  // Back to pending (the claimer has gone). After a conductor restart: every running task.
  [[nodiscard]] Status release(std::int64_t task);
  [[nodiscard]] Status release_all();
  // interrupted when attempt is not the current one: a newer claimer has the task. The same answer a second
  // time does nothing; the current attempt may also answer after its lease ended, as long as nobody else
  // claimed.
  [[nodiscard]] Status finish(std::int64_t task, int attempt, bool ok, const std::string& result_json);
  [[nodiscard]] Result<std::vector<Task>> list(int limit = 100);  // newest first
  // Pending or running tasks.
  [[nodiscard]] Result<std::vector<Task>> open_tasks();

 private:
  explicit TaskQueue(sqlite::Database& database) : database_(&database) {}
  sqlite::Database* database_;
};

}  // namespace sb::bus
