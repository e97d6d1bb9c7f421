// ActivationCycle: one swap, from `swapping` to `kept` or back; the second half of an update.
//
//   begin → start_new → point → drain_old → verify → keep | roll_back → resume
//
// Each step records its intent before it acts, and names the next one as what happens when the world has
// answered. On the event loop. Its owner may destroy it from `ended` on, which is called last.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "activation/next_step.h"
#include "activation/swap_plan.h"
#include "history/history.h"
#include "os/event_loop.h"
#include "os/file_system.h"
#include "os/home.h"
#include "supervise/supervisor.h"

namespace sb::activation {

struct Outcome {
  std::string outcome;  // kept | rolled_back | failed
  std::string cause;    // empty when kept
};

struct Surroundings {
  history::History& history;
  supervise::Supervisor& supervisor;
  os::FileSystem& files;
  os::Timers& timers;
  const os::Home& home;
  std::function<void(const std::string&)> log;
};

class ActivationCycle {
 public:
  ActivationCycle(Surroundings& around, SwapPlan plan, history::CycleKind kind,
                  std::function<void(const Outcome&)> ended)
      : around_(around), plan_(std::move(plan)), kind_(kind), ended_(std::move(ended)) {}

  // Records `swapping`; the rest follows on the loop.
  [[nodiscard]] Status begin();
  // Goes on where a conductor that died left it; the services have been adopted.
  void resume(const Step& step, history::Step last);

  [[nodiscard]] const SwapPlan& plan() const { return plan_; }
  [[nodiscard]] history::Step step() const { return step_; }
  [[nodiscard]] std::int64_t deadline_ms() const { return deadline_ms_; }

 private:
  // -- forward ----------------------------------------------------------------------------------------------
  void start_new(std::size_t index);
  void point();
  void drain_old();
  void start_paused(supervise::Service& service, std::function<void()> up);
  void verify();
  void watch_until(std::int64_t deadline_ms);
  void keep();
  // -- back -------------------------------------------------------------------------------------------------
  void give_up(const Error& error);  // the pointer has not moved
  void put_old_back(std::size_t index, std::string trouble, const Error& error);
  void roll_back(const std::string& service, const std::string& cause);  // it has
  void hold_sick();  // the sick version is not to be started again
  void start_old(std::size_t index);
  void point_back();
  // -- the end ----------------------------------------------------------------------------------------------
  struct Ending {
    history::Step step;
    Json detail;
    history::History::Change change;
    std::optional<history::VersionState> state;  // of the new version
    Outcome outcome;
  };
  void end(const Ending& ending);
  [[nodiscard]] Status record_end(const Ending& ending);

  [[nodiscard]] Status record(history::Step step, const Json& detail,
                              const history::History::Change& change = {});
  void note(const Status& status) const;
  void later(std::function<void()> next);
  void drop_all_incoming(std::function<void()> next);
  [[nodiscard]] bool nothing_to_do() const;
  [[nodiscard]] std::string health_summary() const;
  [[nodiscard]] Json verdict(const std::string& what, const std::string& service) const;
  [[nodiscard]] std::string version_name() const;
  [[nodiscard]] std::int64_t now_ms() const { return around_.timers.clock().unix_ms(); }

  Surroundings& around_;
  SwapPlan plan_;
  history::CycleKind kind_;
  std::function<void(const Outcome&)> ended_;
  history::Step step_ = history::Step::planned;
  std::int64_t deadline_ms_ = 0;
  bool going_back_ = false;
  std::string cause_;         // why it goes back
  std::string sick_service_;  // whose log tells more
  std::string old_trouble_;   // why the old version did not come up either
  std::string end_trouble_;   // why its end is not on disk yet
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  os::Watch timer_;
  os::Watch later_;
};

}  // namespace sb::activation
