// The way forward: swap → verify → keep. The way back is in activation_rollback.cc.
#include "activation/activation_cycle.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::activation {

using history::BuildStatus;
using history::VersionState;

constexpr os::Milliseconds kRecordAgain{1'000};

Status ActivationCycle::begin() {
  // Before the first process is started: after a crash this record alone says what was going to happen.
  SB_CHECK(record(history::Step::swapping, to_json(plan_),
                  {.status = BuildStatus::swapping,
                   .version = plan_.to.version,
                   .from_version = plan_.from > 0 ? std::optional(plan_.from) : std::nullopt}));
  later([this] {
    if (nothing_to_do()) return keep();
    look_at_what_runs();
  });
  return {};
}

void ActivationCycle::resume(const Step& step, const JournalState& journal) {
  const history::Step last = *journal.last;
  step_ = last;
  paused_ = journal.paused;
  aborted_ = journal.aborted;
  baked_ = last == history::Step::committed || last == history::Step::verifying;
  meter_.receipt().interrupted = true;
  around_.log(fmt::format("cycle {}: interrupted swap of {} to {}: {}", history::cycle_name(plan_.to.cycle),
                          plan_.to.project, version_name(), to_string(step.kind)));
  switch (step.kind) {
    case Step::Kind::redo_swap:
      ++plan_.attempt;
      if (const Status begun = record(history::Step::swapping, to_json(plan_)); !begun)
        return give_up(begun.error());
      for (const supervise::ServiceSpec& spec : plan_.to.services) {
        // Already drained: the old one is not to come up for the moment in between.
        supervise::Service* service = around_.supervisor.find(spec.name);
        if (service != nullptr && spec.swap == supervise::SwapMode::drain_first) service->hold();
      }
      return drop_all_incoming([this] { look_at_what_runs(); });
    case Step::Kind::give_up:
      return give_up(make_error(ErrorKind::interrupted, step.cause));
    case Step::Kind::canary:
      meter_.start(plan_.to.services);
      return later([this, at = static_cast<std::size_t>(journal.canary_step)] { canary(at); });
    case Step::Kind::bake:
      bake_until_ms_ = step.until_ms;
      return drain_old();
    case Step::Kind::verify:
      if (last == history::Step::swapping || last == history::Step::started ||
          last == history::Step::canary) {
        note(record(history::Step::pointed,
                    {{"version", plan_.to.version}, {"text", "the pointer had moved"}}));
      }
      deadline_ms_ = step.until_ms;
      return drain_old();
    case Step::Kind::roll_back:
      hold_sick();  // at once: what does not run and is not held is started next
      return drop_all_incoming([this, cause = step.cause] { roll_back("", cause); });
    case Step::Kind::nothing:
    case Step::Kind::close:
      return;
  }
}

void ActivationCycle::look_at_what_runs() {
  meter_.start(plan_.to.services);
  if (!has_to_be_better()) return check_files();
  comparison_.look_at_the_one_before(plan_.to.services, [this] {
    if (!going_back_) check_files();
  });
}

// A version that is new, beside one that was good. Whoever goes back knows why.
bool ActivationCycle::has_to_be_better() const {
  const bool compares = std::ranges::any_of(
      plan_.to.services, [](const supervise::ServiceSpec& spec) { return spec.compare.any(); });
  if (!compares || kind_ == history::CycleKind::rollback || plan_.to.version < plan_.from) return false;
  const Result<history::Version> before = around_.history.version(plan_.to.project, plan_.from);
  return before && before->state == VersionState::known_good;
}

void ActivationCycle::start_new(std::size_t index) {
  if (going_back_) return;
  if (index == plan_.to.services.size()) return prove(0);
  const supervise::Deployment next = plan_.deployments()[index];
  const Result<supervise::Service*> service = around_.supervisor.ensure(next, /*wanted=*/false);
  if (!service) return give_up(service.error());
  (*service)->bring_up(next, [this, index, name = next.spec.name](const Status& up) {
    if (up) return start_new(index + 1);
    if (going_back_) return;
    sick_service_ = name;
    give_up(Error(up.error()).doing(fmt::format("waiting for service {} to become ready and healthy", name)));
  });
}

void ActivationCycle::started() {
  Json running = Json::array();
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    // The first one may have died while the last one started.
    const std::string trouble = around_.supervisor.find(spec.name)->incoming_trouble();
    if (!trouble.empty()) {
      sick_service_ = spec.name;
      return give_up(make_error(ErrorKind::unhealthy, fmt::format("service {}: {}", spec.name, trouble)));
    }
    running.push_back(spec.name);
  }
  const Json detail{{"services", std::move(running)},
                    {"digest", meter_.receipt().digest},
                    {"proofs", meter_.receipt().proofs}};
  if (const Status recorded = record(history::Step::started, detail); !recorded) {
    return give_up(recorded.error());
  }
  go_on_when_resumed([this] { canary(0); });
}

void ActivationCycle::point() {
  Status pointed = os::make_folders(around_.home.project(plan_.to.project));
  if (pointed)
    pointed = around_.files.point_durably(around_.home.pointer(plan_.to.project), plan_.pointer_after());
  if (!pointed) return give_up(Error(pointed.error()).doing("moving the pointer to " + version_name()));
  note(record(history::Step::pointed, {{"version", plan_.to.version}}));
  meter_.something_moves();
  drain_old();
}

void ActivationCycle::drain_old() {
  using Old = supervise::Service::Old;
  pointed_ = true;
  const bool bakes = plan_.to.rollout.bake.count() > 0 && plan_.from != 0;
  // One more than there are answers to come, so that none of them is the last before all were asked for.
  auto open = std::make_shared<std::size_t>(1);
  // The old one may drain for longer than this swap lives, when the new one is taken back meanwhile.
  const auto one_less = [this, open, alive = std::weak_ptr<int>(alive_)] {
    if (--*open == 0 && !alive.expired() && !going_back_) later([this] { verify(); });
  };
  for (const supervise::Deployment& next : plan_.deployments()) {
    const Result<supervise::Service*> found = around_.supervisor.ensure(next, /*wanted=*/true);
    if (!found) return roll_back(next.spec.name, one_line(found.error()));
    supervise::Service* service = *found;
    ++*open;
    if (service->is_paused(next)) {
      start_paused(*service, one_less);
      continue;
    }
    if (service->incoming_is(next)) {
      service->commit(one_less, bakes ? Old::rests : Old::drains);
    } else {
      one_less();  // resumed after the commit
    }
    service->watch([this, name = next.spec.name](const std::string& cause) { roll_back(name, cause); });
  }
  for (const SwapPlan::Before& old : plan_.before) {
    supervise::Service* service = around_.supervisor.find(old.deployment.spec.name);
    if (service == nullptr || plan_.continues(old.deployment.spec.name)) continue;
    ++*open;
    service->stop(one_less);
  }
  one_less();
}

// The conductor was stopped with its services while this one was verified.
void ActivationCycle::start_paused(supervise::Service& service, std::function<void()> up) {
  if (going_back_) return;  // the one before did not come up
  deadline_ms_ = 0;         // it has its whole probation before it
  service.start([this, &service, up = std::move(up), alive = std::weak_ptr<int>(alive_)](const Status& came) {
    if (alive.expired() || going_back_) return;
    const std::string& name = service.deployment().spec.name;
    if (!came) return roll_back(name, "it did not come up again: " + one_line(came.error()));
    service.watch([this, name](const std::string& cause) { roll_back(name, cause); });
    up();
  });
}

void ActivationCycle::verify() {
  if (going_back_) return;
  meter_.receipt().mode = steering_mode();
  if (!baked_ && old_rests()) return bake();
  if (plan_.to.services.empty()) return keep();  // nothing runs that could turn ill
  const std::int64_t until = deadline_ms_ != 0 ? deadline_ms_ : now_ms() + plan_.probation().count();
  note(record(history::Step::verifying,
              {{"deadline_ms", until}, {"probation_ms", plan_.probation().count()}}));
  comparison_.look_at_the_new_one(
      [this](const std::string& service, const std::string& why) { roll_back(service, why); });
  watch_until(until);
}

void ActivationCycle::watch_until(std::int64_t deadline_ms) {
  deadline_ms_ = deadline_ms;
  const os::Milliseconds left(std::max<std::int64_t>(0, deadline_ms - now_ms()));
  timer_ = around_.timers.after(left, [this] {
    // An adopted instance may not have answered its first health check yet; if it never does, it is ill.
    for (const supervise::ServiceSpec& spec : plan_.to.services) {
      if (!around_.supervisor.find(spec.name)->live_is_up()) return watch_until(now_ms() + 20);
    }
    go_on_when_resumed([this] { keep(); });
  });
}

void ActivationCycle::keep() {
  if (going_back_) return;
  comparison_.stop();
  const std::string health = nothing_to_do() && step_ == history::Step::swapping
                                 ? fmt::format("{} is live already", version_name())
                                 : health_summary();
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    supervise::Service* service = around_.supervisor.find(spec.name);
    service->unwatch();
    service->release([] {});
    service->close_unused_sockets();
    if (service->pin().kind == supervise::Pin::Kind::frozen) service->set_pin({});
  }
  for (const SwapPlan::Before& old : plan_.before) {
    if (!plan_.continues(old.deployment.spec.name)) around_.supervisor.remove(old.deployment.spec.name);
  }
  meter_.receipt().compared = comparison_.result();
  end({.step = history::Step::kept,
       .detail = {{"version", plan_.to.version}, {"health", health}, {"receipt", to_json(meter_.receipt())}},
       .change = {.status = BuildStatus::completed, .health_check_result = health, .completed = true},
       .state = VersionState::known_good,
       .outcome = Outcome{.outcome = "kept", .cause = {}}});
}

// Not over before it is on disk: a later conductor would find the cycle open, take it up again, and go back
// behind whatever is live by then.
void ActivationCycle::end(const Ending& ending) {
  const Status recorded = record_end(ending);
  if (!recorded) {
    const std::string trouble = one_line(recorded.error());
    if (std::exchange(end_trouble_, trouble) != trouble) {
      around_.log(fmt::format("cycle {}: \"{}\" cannot be recorded, and is tried again: {}",
                              history::cycle_name(plan_.to.cycle), history::to_string(ending.step), trouble));
    }
    timer_ = around_.timers.after(kRecordAgain, [this, ending] { end(ending); });
    return;
  }
  const Outcome& outcome = ending.outcome;
  around_.log(fmt::format("cycle {}: {} of {} {}{}", history::cycle_name(plan_.to.cycle), version_name(),
                          plan_.to.project, outcome.outcome,
                          outcome.cause.empty() ? "" : fmt::format(" ({})", outcome.cause)));
  later([this, outcome] { ended_(outcome); });
}

Status ActivationCycle::record_end(const Ending& ending) {
  const Outcome& outcome = ending.outcome;
  if (step_ != ending.step && step_ != history::Step::done) {
    if (ending.state) {
      const Status set =
          around_.history.set_version_state(plan_.to.project, plan_.to.version, *ending.state, cause_);
      if (!set && set.error().kind != ErrorKind::not_found) return set;
      note(set);
    }
    SB_CHECK(record(ending.step, ending.detail, ending.change));
  }
  // Nobody else closes a cycle that has no task.
  if (kind_ == history::CycleKind::update || step_ == history::Step::done) return {};
  return record(history::Step::done, {{"outcome", outcome.outcome}, {"kept", outcome.outcome == "kept"}});
}

Status ActivationCycle::record(history::Step step, const Json& detail,
                               const history::History::Change& change) {
  const Result<std::int64_t> seq =
      around_.history.append(plan_.to.cycle, step, dump_json(detail), change, /*fence=*/0);
  if (!seq) return fail(seq.error());
  step_ = step;
  return {};
}

void ActivationCycle::note(const Status& status) const {
  if (!status) around_.log(one_line(status.error()));
}

void ActivationCycle::later(std::function<void()> next) {
  later_ = around_.timers.after(os::Milliseconds(0), std::move(next));
}

void ActivationCycle::drop_all_incoming(std::function<void()> next) {
  auto open = std::make_shared<std::size_t>(1);
  const auto one_less = [this, open, next = std::move(next)] {
    if (--*open == 0) later(next);
  };
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    supervise::Service* service = around_.supervisor.find(spec.name);
    if (service == nullptr) continue;
    ++*open;
    service->drop_incoming(one_less);
  }
  one_less();
}

bool ActivationCycle::nothing_to_do() const {
  if (plan_.pointer_before != plan_.pointer_after()) return false;
  for (const SwapPlan::Before& old : plan_.before) {
    if (!plan_.continues(old.deployment.spec.name)) return false;
  }
  for (const supervise::Deployment& next : plan_.deployments()) {
    const supervise::Service* service = around_.supervisor.find(next.spec.name);
    if (service == nullptr || !service->live_is_up() || !service->live_is(next)) return false;
    const supervise::Deployment& live = service->deployment();
    if (live.project != next.project || supervise::to_json(live.spec) != supervise::to_json(next.spec)) {
      return false;
    }
  }
  return true;
}

std::string ActivationCycle::steering_mode() const {
  std::string mode = "no sockets";
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    const supervise::Service* service = around_.supervisor.find(spec.name);
    if (service == nullptr || spec.sockets.empty()) continue;
    if (!service->can_steer()) return "shared socket";
    mode = "steered";
  }
  return mode;
}

std::string ActivationCycle::health_summary() const {
  if (plan_.to.services.empty()) return "no services to watch";
  std::vector<std::string> parts;
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    const supervise::Service* service = around_.supervisor.find(spec.name);
    const int checks = service == nullptr ? 0 : service->checks_passed();
    std::string part =
        fmt::format("{} for {}", checks > 0 ? "healthy" : "up", human_duration(plan_.probation()));
    if (checks > 0) part += fmt::format(", {} probe{}", checks, checks == 1 ? "" : "s");
    const int restarts = service == nullptr ? 0 : service->restarts();
    if (restarts > 0)
      part += fmt::format(", restarted {}", restarts == 1 ? "once" : fmt::format("{} times", restarts));
    parts.push_back(plan_.to.services.size() == 1 ? part : fmt::format("{}: {}", spec.name, part));
  }
  return join(parts, "; ");
}

std::string ActivationCycle::version_name() const {
  return history::version_name(plan_.to.version);
}

}  // namespace sb::activation
