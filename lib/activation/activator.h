// Activator: at most one swap at a time, and what became of earlier ones. What the conductor's methods talk
// to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "activation/activation_cycle.h"

namespace sb::activation {

class Activator {
 public:
  explicit Activator(Surroundings around) : around_(std::move(around)) {}

  // Takes up what a conductor that died left behind. After Supervisor::recover(), before resume().
  [[nodiscard]] Status recover();

  // Good once `swapping` is in the journal, also when it was before. conflict while another cycle is swapped
  // or a service belongs to another project; not_found without the folder.
  [[nodiscard]] Status begin(const Request& request);
  // What begin() would say now, without a cycle.
  [[nodiscard]] Status check(const Request& request, const std::string& triggered_by);
  // refused while a service of the project is pinned, or frozen and nobody is there who asks ("nightly").
  [[nodiscard]] Status check_pins(const std::string& project, const std::string& triggered_by);

  // Calls when the swap of this cycle has ended and its verdict is on disk, at once when it has; not_found
  // when it was never begun.
  using Waiter = std::function<void(Result<Outcome>)>;
  void wait(std::int64_t cycle, Waiter waiter);

  // The one that runs now, or nothing.
  [[nodiscard]] const ActivationCycle* running() const { return running_.get(); }
  [[nodiscard]] Result<ActivationCycle*> in_progress();  // conflict when there is none

 private:
  [[nodiscard]] Status check_free() const;
  [[nodiscard]] Status check_rollout(const Request& request) const;
  [[nodiscard]] Result<SwapPlan> plan(const Request& request);
  [[nodiscard]] Status take_up(const history::Cycle& cycle);
  // A newer cycle of the project whose swap has begun.
  [[nodiscard]] Result<std::optional<std::int64_t>> overtaken_by(const history::Cycle& cycle);
  [[nodiscard]] Observed observe(const SwapPlan& plan) const;
  void run(SwapPlan plan, history::CycleKind kind);
  void ended(std::int64_t cycle, const Outcome& outcome);
  [[nodiscard]] Status close(std::int64_t cycle, history::Step outcome);
  [[nodiscard]] Status fail_unbegun(std::int64_t cycle, const std::string& cause);
  [[nodiscard]] std::string pointer_of(const std::string& project) const;

  Surroundings around_;
  std::unique_ptr<ActivationCycle> running_;
  std::multimap<std::int64_t, Waiter> waiting_;
};

}  // namespace sb::activation
