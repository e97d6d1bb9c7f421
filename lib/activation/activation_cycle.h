// ActivationCycle: one swap, from `swapping` to `kept` or back; the second half of an update.
//
//   begin → check_files → start_new → prove → [canary …] → point → drain_old → [bake] → verify
//         → keep | roll_back → resume
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

#include "activation/comparison.h"
#include "activation/meter.h"
#include "activation/next_step.h"
#include "activation/swap_plan.h"
#include "activation/version_check.h"
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
  supervise::HealthProbe& probe;
  const os::Home& home;
  std::function<void(const std::string&)> log;
  CheckVersion check_version;  // none: files are believed
};

class ActivationCycle {
 public:
  ActivationCycle(Surroundings& around, SwapPlan plan, history::CycleKind kind,
                  std::function<void(const Outcome&)> ended)
      : around_(around),
        plan_(std::move(plan)),
        kind_(kind),
        ended_(std::move(ended)),
        meter_(around.timers, around.probe, around.supervisor),
        comparison_(around.timers, around.probe, around.supervisor) {}

  // Records `swapping`; the rest follows on the loop.
  [[nodiscard]] Status begin();
  // Goes on where a conductor that died left it; the services have been adopted.
  void resume(const Step& step, const JournalState& journal);

  // A person's: it goes on to the next step only when it is resumed (a version that turns ill is taken back
  // all the same; survives the conductor); or ends it, and the version before is live. conflict when there is
  // a verdict already. Whoever is `by` is recorded.
  [[nodiscard]] Status pause(const std::string& by);
  [[nodiscard]] Status unpause(const std::string& by);
  [[nodiscard]] Status abort(const std::string& by);
  [[nodiscard]] bool paused() const { return paused_; }

  [[nodiscard]] const SwapPlan& plan() const { return plan_; }
  [[nodiscard]] history::Step step() const { return step_; }
  [[nodiscard]] std::int64_t deadline_ms() const { return deadline_ms_; }

 private:
  // -- forward ----------------------------------------------------------------------------------------------
  void look_at_what_runs();
  [[nodiscard]] bool has_to_be_better() const;
  void check_files();
  void start_new(std::size_t index);
  void prove(std::size_t index);
  void started();
  void canary(std::size_t step);
  void compare(const supervise::ServiceSpec& spec, int percent);
  void watch_canary();
  void canary_step_over(std::size_t step);
  void end_canary();
  void reject_canary(const std::string& why);
  void point();
  void drain_old();
  void start_paused(supervise::Service& service, std::function<void()> up);
  void bake();
  void let_old_go();
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
  [[nodiscard]] std::vector<int> ways_back();  // versions; none: it stays
  void take_way_back(const std::vector<int>& ways, std::size_t index);
  void aim_at(const history::Version& version);
  [[nodiscard]] std::string why_not_back();  // empty: the version before may be gone back to
  void stay_here(const std::string& why);
  void freeze(const std::string& reason);
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
  void go_on_when_resumed(std::function<void()> next);
  [[nodiscard]] Status check_not_going_back() const;
  [[nodiscard]] Status note_person(history::Step step, const std::string& by);
  [[nodiscard]] bool old_rests() const;
  [[nodiscard]] std::string steering_mode() const;
  [[nodiscard]] std::unique_ptr<Questioner> questioner_of(const supervise::ServiceSpec& spec,
                                                          supervise::Service::Reached side,
                                                          Questioner::Heard heard);
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
  bool pointed_ = false;  // the pointer names the new version
  bool paused_ = false;
  bool aborted_ = false;
  bool baked_ = false;
  std::int64_t bake_until_ms_ = 0;   // of a conductor before; 0: from now on
  std::function<void()> held_back_;  // until it is resumed
  Meter meter_;
  Comparison comparison_;
  std::vector<std::shared_ptr<CanaryStep>> sides_;  // of the canary's step
  std::vector<std::unique_ptr<Questioner>> asking_;
  std::string cause_;         // why it goes back
  std::string sick_service_;  // whose log tells more
  std::string old_trouble_;   // why the old version did not come up either
  std::string end_trouble_;   // why its end is not on disk yet
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  os::Watch timer_;
  os::Watch later_;
  os::Watch canary_watch_;
};

}  // namespace sb::activation
