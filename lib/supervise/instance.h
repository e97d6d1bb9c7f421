// Instance: one started process of one version of one service, from its start to its end: readiness, health,
// watchdog, drain. Says what happens; what follows from it (restart, swap, rollback) is for its owner.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/event_loop.h"
#include "os/process.h"
#include "supervise/probe.h"
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
    std::function<void(const std::string& cause)> ill;  // not up within start_timeout, or unhealthy later
    std::function<void(const os::Exit&)> ended;         // once
  };
  struct Origin {
    std::int64_t id = 0;
    os::Process process;
    Deployment deployment;
    std::vector<BoundAddress> sockets;
    bool ready = false;  // adopted, and had been ready before
    std::int64_t started_ms = 0;
  };

  Instance(Surroundings& around, Origin origin, Events events);
  void begin();  // from here on events come, never from inside this call

  void notify(const Notification& notification);
  // SIGTERM, and SIGKILL to the whole group after the drain timeout.
  void drain();
  void kill();

  [[nodiscard]] std::int64_t id() const { return origin_.id; }
  [[nodiscard]] pid_t pid() const { return origin_.process.pid; }
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] const Deployment& deployment() const { return origin_.deployment; }
  [[nodiscard]] std::int64_t started_ms() const { return origin_.started_ms; }
  [[nodiscard]] int checks_passed() const { return checks_passed_; }
  [[nodiscard]] const std::string& status_text() const { return status_text_; }

 private:
  [[nodiscard]] const ServiceSpec& spec() const { return origin_.deployment.spec; }
  void became_ready();
  void became_up();
  void became_ill(const std::string& cause);
  void not_up_in_time();
  void ended(const os::Exit& exit);
  void ask();
  void ask_again(os::Milliseconds delay);
  void answered(Status status);
  void expect_watchdog();
  void kill_after(os::Milliseconds delay);

  Surroundings& around_;
  Origin origin_;
  Events events_;
  Phase phase_ = Phase::starting;
  bool ready_ = false;
  int failures_ = 0;  // of the health check, in a row
  int checks_passed_ = 0;
  std::string last_failure_;
  std::string status_text_;                                // STATUS= of the service itself
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // answers of probes find out that we have gone
  os::Watch exit_;
  os::Watch deadline_;  // start, later drain
  os::Watch next_probe_;
  os::Watch watchdog_;
};

}  // namespace sb::supervise
