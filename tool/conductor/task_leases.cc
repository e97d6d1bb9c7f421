#include "tool/conductor/task_leases.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::tool {

void TaskLeases::claim(rpc::ConnectionId connection, rpc::Reply reply) {
  // Who asks for more has given up what it had: a worker does one thing at a time.
  release(connection);
  waiting_.push_back(Waiting{.connection = connection, .reply = std::move(reply)});
  dispatch();
}

void TaskLeases::disconnected(rpc::ConnectionId connection) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.connection == connection; });
  release(connection);
  dispatch();
}

void TaskLeases::release(rpc::ConnectionId connection) {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second != connection) {
      ++lease;
      continue;
    }
    const Status released = tasks_.release(lease->first);
    log_(released ? fmt::format("task {} is free again: its worker has gone", lease->first)
                  : one_line(released.error()));
    lease = leases_.erase(lease);
  }
}

Status TaskLeases::complete(std::int64_t task, int attempt, bool ok, const std::string& result_json) {
  SB_CHECK(tasks_.finish(task, attempt, ok, result_json));
  leases_.erase(task);
  dispatch();
  return {};
}

void TaskLeases::dispatch() {
  while (!waiting_.empty()) {
    Result<std::optional<bus::Task>> task = tasks_.claim();
    if (!task) return log_(one_line(task.error()));
    if (!*task) return;
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    leases_[(*task)->id] = next.connection;
    next.reply(Json{{"task", (*task)->id},
                    {"cycle", (*task)->cycle},
                    {"attempt", (*task)->attempt},
                    {"payload", (*task)->payload}});
  }
}

}  // namespace sb::tool
