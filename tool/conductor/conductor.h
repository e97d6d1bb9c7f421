// Conductor: the parts of the daemon, put together in the order in which they need each other, and their life
// from start to stop. Everything happens on one event loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "activation/activator.h"
#include "audit/recorder.h"
#include "bus/task_queue.h"
#include "history/history.h"
#include "http/server.h"
#include "keeper/keeper_link.h"
#include "os/clock.h"
#include "os/event_loop.h"
#include "os/file_system.h"
#include "os/home.h"
#include "rpc/server.h"
#include "sqlite/commit_sync.h"
#include "supervise/supervisor.h"
#include "tool/conductor/audit_trail.h"
#include "tool/conductor/event_feed.h"
#include "tool/conductor/instance_lock.h"
#include "tool/conductor/keeper_vault.h"
#include "tool/conductor/kept_processes.h"
#include "tool/conductor/notify_listener.h"
#include "tool/conductor/state_events.h"
#include "tool/conductor/state_repair.h"
#include "tool/conductor/swap_files.h"
#include "tool/conductor/task_leases.h"
#include "tool/conductor/version_checks.h"

namespace sb::tool {

class Conductor {
 public:
  // Takes the lock, migrates the database, adopts what runs, takes up an interrupted swap, and listens.
  [[nodiscard]] static Result<std::unique_ptr<Conductor>> start(const os::Home& home,
                                                                keeper::KeeperLink& keeper);
  ~Conductor();

  int run();  // until stop() or hand_over(); the code to exit with
  // False while a service is being asked how it is, the database is copied, or the disk does not take
  // records: destroying the conductor would wait for that.
  [[nodiscard]] bool can_end_at_once() const {
    return probe_->idle() && backup_->idle() && version_checks_->idle() && sync_->idle() &&
           recorder_->flush(os::Milliseconds(0));
  }
  // Services run on, or are drained first.
  void stop(bool services, std::function<void()> stopping);
  // The current program takes over, and adopts what runs. begun: whether the keeper starts it.
  void hand_over(const std::function<void(const Status&)>& begun);

  // -- for the routes
  // ----------------------------------------------------------------------------------------
  [[nodiscard]] const os::Home& home() const { return home_; }
  [[nodiscard]] history::History& history() { return *history_; }
  [[nodiscard]] bus::TaskQueue& tasks() { return *tasks_; }
  [[nodiscard]] TaskLeases& leases() { return *leases_; }
  [[nodiscard]] supervise::Supervisor& supervisor() { return *supervisor_; }
  [[nodiscard]] activation::Activator& activator() { return *activator_; }
  [[nodiscard]] supervise::HttpSafeMode& safe_mode() { return *safe_mode_; }
  [[nodiscard]] rpc::Server& server() { return *server_; }
  [[nodiscard]] http::Server& http() { return *http_; }
  [[nodiscard]] EventFeed& events() { return *events_; }
  [[nodiscard]] const AuditTrail& audit_trail() const { return *audit_trail_; }
  [[nodiscard]] const keeper::KeeperLink& keeper() const { return keeper_; }
  [[nodiscard]] std::int64_t started_ms() const { return started_ms_; }
  static void log(const std::string& text);  // one line on standard error

 private:
  Conductor(const os::Home& home, keeper::KeeperLink& keeper) : home_(home), keeper_(keeper) {}
  Status begin();
  Status open();
  void open_records();
  // Ends, and says why: the host lacks something that no conductor can work without.
  void give_up(const Error& error);
  void say(const std::string& text);  // log(), and an event
  Status take_up();
  void restart_readers_of_the_damaged_database();
  [[nodiscard]] rpc::Hold answer_of(const std::string& method);
  void stop_when_all_is_said();
  Status listen();
  void cap_logs();
  [[nodiscard]] std::vector<supervise::KnownVersion> versions_of(const std::string& project);

  const os::Home& home_;
  keeper::KeeperLink& keeper_;
  os::SystemClock clock_;
  std::int64_t started_ms_ = 0;
  int exit_code_ = 0;
  bool stopping_ = false;
  bool mended_ = false;  // another database took the place of a damaged one
  std::optional<InstanceLock> lock_;
  std::unique_ptr<os::EventLoop> loop_;
  std::optional<sqlite::CommitSync> sync_;
  std::optional<SwapFiles> files_;
  std::optional<history::History> history_;
  std::optional<bus::TaskQueue> tasks_;
  std::optional<TaskLeases> leases_;
  std::optional<KeeperVault> vault_;
  std::optional<NotifyListener> notifications_;
  std::optional<supervise::ServiceTable> table_;
  std::optional<KeptProcesses> processes_;
  std::optional<supervise::ThreadedProbe> probe_;
  std::optional<VersionChecks> version_checks_;
  std::optional<supervise::HttpSafeMode> safe_mode_;
  std::optional<supervise::Surroundings> around_;
  std::optional<supervise::Supervisor> supervisor_;
  std::optional<activation::Activator> activator_;
  std::optional<DatabaseBackup> backup_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<audit::Recorder> recorder_;
  std::optional<AuditTrail> audit_trail_;
  std::optional<EventFeed> events_;
  std::optional<StateEvents> state_events_;
  std::unique_ptr<http::Server> http_;
  os::Watch terminate_;
  os::Watch interrupt_;
  os::Watch log_timer_;
  os::Watch load_timer_;
  os::Watch last_words_;
};

}  // namespace sb::tool
