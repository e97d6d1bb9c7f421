// Conductor: the parts of the daemon, put together in the order in which they need each other, and their life
// from start to stop. Everything happens on one event loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "activation/activator.h"
#include "bus/task_queue.h"
#include "history/history.h"
#include "keeper/keeper_link.h"
#include "os/clock.h"
#include "os/event_loop.h"
#include "os/file_system.h"
#include "os/home.h"
#include "rpc/server.h"
#include "supervise/supervisor.h"
#include "tool/conductor/instance_lock.h"
#include "tool/conductor/keeper_vault.h"
#include "tool/conductor/kept_processes.h"
#include "tool/conductor/notify_listener.h"
#include "tool/conductor/task_leases.h"

namespace sb::tool {

class Conductor {
 public:
  // Takes the lock, migrates the database, adopts what runs, takes up an interrupted swap, and listens.
  [[nodiscard]] static Result<std::unique_ptr<Conductor>> start(const os::Home& home,
                                                                keeper::KeeperLink& keeper);
  ~Conductor();

  void run();  // until stop()
  // False while a service is being asked how it is: destroying the conductor would wait for its answer.
  [[nodiscard]] bool can_end_at_once() const { return probe_->idle(); }
  // Services run on, or are drained first.
  void stop(bool services, std::function<void()> stopping);

  // -- for the routes
  // ----------------------------------------------------------------------------------------
  [[nodiscard]] const os::Home& home() const { return home_; }
  [[nodiscard]] history::History& history() { return *history_; }
  [[nodiscard]] bus::TaskQueue& tasks() { return *tasks_; }
  [[nodiscard]] TaskLeases& leases() { return *leases_; }
  [[nodiscard]] supervise::Supervisor& supervisor() { return *supervisor_; }
  [[nodiscard]] activation::Activator& activator() { return *activator_; }
  [[nodiscard]] rpc::Server& server() { return *server_; }
  [[nodiscard]] bool has_keeper() const { return keeper_.connected(); }
  [[nodiscard]] std::int64_t started_ms() const { return started_ms_; }
  static void log(const std::string& text);  // one line on standard error

 private:
  Conductor(const os::Home& home, keeper::KeeperLink& keeper) : home_(home), keeper_(keeper) {}
  Status open();
  Status take_up();
  Status listen();
  void cap_logs();

  const os::Home& home_;
  keeper::KeeperLink& keeper_;
  os::SystemClock clock_;
  os::RealFileSystem files_;
  std::int64_t started_ms_ = 0;
  std::optional<InstanceLock> lock_;
  std::unique_ptr<os::EventLoop> loop_;
  std::optional<history::History> history_;
  std::optional<bus::TaskQueue> tasks_;
  std::optional<TaskLeases> leases_;
  std::optional<KeeperVault> vault_;
  std::optional<NotifyListener> notifications_;
  std::optional<supervise::ServiceTable> table_;
  std::optional<KeptProcesses> processes_;
  std::optional<supervise::ThreadedProbe> probe_;
  std::optional<supervise::Surroundings> around_;
  std::optional<supervise::Supervisor> supervisor_;
  std::optional<activation::Activator> activator_;
  std::unique_ptr<rpc::Server> server_;
  os::Watch terminate_;
  os::Watch interrupt_;
  os::Watch log_timer_;
};

}  // namespace sb::tool
