// Instance: one started process of one version of one service, from its start to its end: readiness, health,
// watchdog, drain. Says what happens; what follows from it (restart, swap, rollback) is for its owner.
//
// A starting instance is asked for one thing after the other: has it started (probe `start`), is it ready, is
// it healthy. One that is up is asked on: for its health, since one that hangs is to be ended, and for its
// readiness, since one that is busy with something else is only to be known as such.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/event_loop.h"
#include "os/process.h"
#include "supervise/probe.h"
#include "supervise/probe_verdict.h"
#include "supervise/surroundings.h"

namespace sb::supervise {

class Instance {
 public:
  enum class Phase { starting, up, ill, draining, ended };

  // Each is the last thing the instance does in its turn, but its owner must not destroy it inside one (see
  // Service::bury).
  struct Events {
    std::function<void()> ready;  // once: to be remembered over a crash of the conductor
    std::function<void()> up;     // once: ready, and healthy for the first time
    std::function<void(const std::string& cause)> ill;      // not up within start_timeout, or unhealthy later
    std::function<void(const std::string& cause)> unready;  // up, but not ready any more
    std::function<bool()> is_trusted;    // it has proved itself: a check without an answer may be forgiven
    std::function<void()> main_process;  // another process is the main one, see MAINPID of sd_notify(3)
    std::function<void(const os::Exit&)> ended;  // once
  };
  struct Origin {
    std::int64_t id = 0;
    os::Process process;
    Deployment deployment;
    std::vector<BoundAddress> sockets;
    std::vector<std::string> marks;  // variables that tell its processes from all others
    bool ready = false;              // adopted, and had been ready before
    std::int64_t started_ms = 0;
    Side side = Side::a;
  };

  Instance(Surroundings& around, Origin origin, Events events);
  void begin();  // from here on events come, never from inside this call

  void notify(const Notification& notification);
  // SIGTERM, and SIGKILL to the whole group after the drain timeout.
  void drain();
  void kill();

  [[nodiscard]] std::int64_t id() const { return origin_.id; }
  [[nodiscard]] pid_t pid() const { return origin_.process.pid; }  // of the main process
  // The main process, or the one that leads the session of all that it started.
  [[nodiscard]] bool is_led_by(pid_t pid) const { return pid == this->pid() || pid == first_process_.pid; }
  // Set when another process became the main one: whose group is left when that ends.
  [[nodiscard]] pid_t first_pid() const { return first_process_.pid; }
  // No process is left that has to be reaped: it may be destroyed.
  [[nodiscard]] bool is_over() const { return phase_ == Phase::ended && !first_exit_; }
  [[nodiscard]] std::uint64_t start_ticks() const { return origin_.process.start_ticks; }
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] Side side() const { return origin_.side; }
  [[nodiscard]] const std::vector<BoundAddress>& sockets() const { return origin_.sockets; }
  [[nodiscard]] std::uint64_t resident_bytes() const {
    return around_.processes.resident_bytes(origin_.process);
  }
  // How many clients at its TCP sockets wait for an answer of it.
  [[nodiscard]] int unanswered() const;
  [[nodiscard]] const Deployment& deployment() const { return origin_.deployment; }
  [[nodiscard]] std::int64_t started_ms() const { return origin_.started_ms; }
  [[nodiscard]] bool was_ready() const { return ready_; }
  [[nodiscard]] int checks_passed() const { return checks_passed_; }
  [[nodiscard]] bool is_reloading() const { return reloading_; }
  // Up, but its readiness is asked for, and the answer is no: why.
  [[nodiscard]] const std::string& unready() const { return unready_; }
  [[nodiscard]] const std::string& status_text() const { return status_text_; }

 private:
  enum class Stage { start, ready, health };
  using Heard = void (Instance::*)(const Timed&);

  [[nodiscard]] const ServiceSpec& spec() const { return origin_.deployment.spec; }
  [[nodiscard]] const ProbeSpec& stage_probe() const;
  void enter(Stage stage);
  void stage_done();
  void became_ready();
  void became_up();
  void became_ill(const std::string& cause);
  void not_up_in_time();
  void ended(const os::Exit& exit);
  void ask(const ProbeSpec& probe, Heard heard);
  [[nodiscard]] os::Milliseconds until_next(const ProbeSpec& probe) const;
  void ask_health_again();
  void ask_readiness_again();
  void heard_in_stage(const Timed& answer);
  void heard_health(const Timed& answer);
  void heard_readiness(const Timed& answer);
  [[nodiscard]] bool is_busy(const ProbeSpec& probe, const Timed& answer);
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
  void reload_within(os::Milliseconds time);
  void stop_by_itself();
  void take_main_process(pid_t pid);
  void expect_watchdog();
  void kill_after(os::Milliseconds delay);
  void stop_asking();

  Surroundings& around_;
  Origin origin_;
  Events events_;
  Phase phase_ = Phase::starting;
  Stage stage_ = Stage::start;
  bool ready_ = false;
  bool said_ready_ = false;  // READY=1, perhaps before anybody waited for it
  bool reloading_ = false;
  bool told_to_end_ = false;
  int good_in_a_row_ = 0;  // of the stage
  int checks_passed_ = 0;
  int busy_in_a_row_ = 0;  // health checks that it did not answer while it answered its users
  ProbeVerdict health_;
  ProbeVerdict readiness_;
  std::string last_failure_;
  std::string unready_;
  std::string status_text_;  // STATUS= of the service itself
  os::Milliseconds watchdog_interval_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // answers of probes find out that we have gone
  os::Process first_process_;                              // when another one is the main process
  os::Watch first_exit_;
  os::Watch exit_;
  os::Watch deadline_;  // start, later reload and drain
  os::Watch next_probe_;
  os::Watch next_readiness_;
  os::Watch watchdog_;
};

}  // namespace sb::supervise
