#include "tool/conductor/task_leases.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::tool {
namespace {

constexpr rpc::ConnectionId kNobody = 0;  // connections are numbered from 1
constexpr os::Milliseconds kAgain{1'000};

}  // namespace

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
    if (!released) {
      lease->second = kNobody;
      ++lease;
      try_again(released.error());
      continue;
    }
    log_(fmt::format("task {} is free again: its worker has gone", lease->first));
    lease = leases_.erase(lease);
  }
}

void TaskLeases::try_again(const Error& error) {
  const std::string trouble = one_line(error);
  if (std::exchange(trouble_, trouble) != trouble) log_(trouble);
  again_ = timers_.after(kAgain, [this] {
    release(kNobody);
    dispatch();
  });
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
    if (!task) return try_again(task.error());
    if (!*task) return;
    trouble_.clear();
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
