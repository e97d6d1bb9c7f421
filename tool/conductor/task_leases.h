// TaskLeases: who works on which task. A claim waits until a task is free; it ends with its connection. What
// the database refuses for a moment is tried again until it is done: nobody else would.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>

#include "bus/task_queue.h"
#include "os/event_loop.h"
#include "rpc/server.h"

namespace sb::tool {

class TaskLeases {
 public:
  TaskLeases(bus::TaskQueue& tasks, os::Timers& timers, std::function<void(const std::string&)> log)
      : tasks_(tasks), timers_(timers), log_(std::move(log)) {}

  void claim(rpc::ConnectionId connection, rpc::Reply reply);
  void disconnected(rpc::ConnectionId connection);
  [[nodiscard]] Status complete(std::int64_t task, int attempt, bool ok, const std::string& result_json);
  // Hands the next task to whoever waits longest. To be called when one was added.
  void dispatch();

 private:
  struct Waiting {
    rpc::ConnectionId connection = 0;
    rpc::Reply reply;
  };
  void release(rpc::ConnectionId connection);
  void try_again(const Error& error);

  bus::TaskQueue& tasks_;
  os::Timers& timers_;
  std::function<void(const std::string&)> log_;
  std::list<Waiting> waiting_;
  std::map<std::int64_t, rpc::ConnectionId> leases_;  // by task; kNobody: given up, but not on disk yet
  std::string trouble_;                               // told already
  os::Watch again_;
};

}  // namespace sb::tool
