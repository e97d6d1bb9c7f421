// Comparison: a version on probation beside the one before it, in what the manifest's `compare` names:
// answers that fail, how long they take, and resident memory. The version before is looked at while it still
// serves.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "activation/evidence.h"
#include "activation/questioner.h"
#include "supervise/supervisor.h"

namespace sb::activation {

class Comparison {
 public:
  Comparison(os::Timers& timers, supervise::HealthProbe& probe, supervise::Supervisor& supervisor)
      : timers_(timers), probe_(probe), supervisor_(supervisor) {}

  // Looks at what is live, where there is anything to compare; `known` is called once there are enough
  // answers, or after a few seconds, or at once when nothing is to be compared.
  void look_at_the_one_before(const std::vector<supervise::ServiceSpec>& services,
                              std::function<void()> known);
  // From now on what is live is the new one; `worse` says why, as soon as it is clear, at most once.
  void look_at_the_new_one(std::function<void(const std::string& service, const std::string& why)> worse);
  void stop();
  [[nodiscard]] std::vector<Compared> result() const;

 private:
  struct Side {
    supervise::ServiceSpec spec;
    bool asks = false;
    Compared seen;
    int objections = 0;  // in a row
    std::unique_ptr<Questioner> asking;
  };
  void ask(Side& side, Tally& tally, os::Milliseconds pace);
  void wait_until_known(os::Milliseconds until);
  [[nodiscard]] std::string objection_to(Side& side) const;
  void look();

  os::Timers& timers_;
  supervise::HealthProbe& probe_;
  supervise::Supervisor& supervisor_;
  std::vector<std::unique_ptr<Side>> sides_;
  std::function<void()> known_;
  std::function<void(const std::string& service, const std::string& why)> worse_;
  os::Watch timer_;
};

}  // namespace sb::activation
