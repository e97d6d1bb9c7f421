// Meter: asks, as a user would, all services that run while one version takes over from another, and counts
// what comes back; the receipt of a promotion.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "activation/evidence.h"
#include "activation/questioner.h"
#include "supervise/supervisor.h"

namespace sb::activation {

class Meter {
 public:
  Meter(os::Timers& timers, supervise::HealthProbe& probe, supervise::Supervisor& supervisor)
      : timers_(timers), probe_(probe), supervisor_(supervisor) {}

  // Begins with what runs before the swap.
  void start(const std::vector<supervise::ServiceSpec>& services);
  // The new version gets users, or may get them no more: what is heard from now on is "during". Asks often
  // for the next seconds, then now and then.
  void something_moves();
  void stop() { questioners_.clear(); }
  [[nodiscard]] Receipt& receipt() { return receipt_; }

 private:
  void ask_often_for_now();
  void heard(const std::string& service, const supervise::Timed& answer);

  os::Timers& timers_;
  supervise::HealthProbe& probe_;
  supervise::Supervisor& supervisor_;
  Receipt receipt_;
  bool moved_ = false;
  bool often_ = true;
  std::vector<std::unique_ptr<Questioner>> questioners_;
  std::map<std::string, os::Milliseconds> last_good_;  // by service, monotonic
  os::Watch calm_;
};

}  // namespace sb::activation
