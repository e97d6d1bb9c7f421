// A service's everyday life: start, restart, stop, status. What it does for a swap is in service_swap.cc.
#include "supervise/service.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::supervise {
namespace {

// So many times the live instance may end while a swap watches it.
constexpr int kCrashesInProbation = 3;
// One that does not accept what waits for it may be as ill as it looks.
constexpr os::Milliseconds kMostToAccept{3'000};

const char* state_of(const Instance& instance) {
  switch (instance.phase()) {
    case Instance::Phase::starting:
      return "starting";
    case Instance::Phase::up:
      if (instance.is_reloading()) return "reloading";
      return instance.unready().empty() ? "running" : "not ready";
    case Instance::Phase::draining:
      return "stopping";
    case Instance::Phase::ill:
    case Instance::Phase::ended:
      break;
  }
  return "unhealthy";
}

}  // namespace

nlohmann::json to_json(const ServiceStatus& status) {
  return {{"name", status.name},
          {"project", status.project},
          {"version", status.version},
          {"state", status.state},
          {"pid", status.pid},
          {"since_ms", status.since_ms},
          {"restarts", status.restarts},
          {"swap", status.swap},
          {"sockets", status.sockets},
          {"status_text", status.status_text},
          {"last_exit", status.last_exit},
          {"directory", status.directory},
          {"steering", status.steering},
          {"pin", status.pin},
          {"pin_reason", status.pin_reason},
          {"standby", status.standby}};
}

Result<std::unique_ptr<Service>> Service::make(Surroundings& around, Deployment deployment, bool wanted) {
  SB_CHECK(around.table.put_service(ServiceRow{.deployment = deployment, .wanted = wanted}));
  return std::unique_ptr<Service>(new Service(around, std::move(deployment), wanted));
}

void Service::start(Done up) {
  if (ending_) return up(fail(ErrorKind::interrupted, "the conductor is being stopped"));
  wanted_ = true;
  record();
  if (live_is_up()) return up({});
  waiting_.push_back(std::move(up));
  held_ = false;
  if (live_) return;
  backoff_.reset();
  when_all_have_left([this] { start_live(); });
}

void Service::resume() {
  if (wanted_ && !live_ && !restart_timer_) when_all_have_left([this] { start_live(); });
}

void Service::stop(std::function<void()> gone) {
  wanted_ = false;
  paused_ = false;
  record();
  trouble_text_.clear();
  answers_itself();
  drain_live([this, gone = std::move(gone)] {
    if (!wanted_) parked_.drop_all();  // also what it parked in its last moments
    gone();
  });
}

void Service::pause(std::function<void()> gone) {
  ending_ = true;
  paused_ = wanted_;
  record();
  answers_itself();
  // A swap that is under way is not answered any more: the conductor's next start takes it up again.
  bring_up_done_ = nullptr;
  if (incoming_) retire(std::move(incoming_), nullptr);
  drain_live(std::move(gone));
}

void Service::drain_live(std::function<void()> gone) {
  restart_timer_.reset();
  stable_timer_.reset();
  settle(fail(ErrorKind::interrupted, fmt::format("service {} was stopped", name())));
  if (resting_) retire(std::move(resting_), nullptr);
  drop_spare(nullptr);
  if (live_) retire(std::move(live_), nullptr);
  when_all_have_left(std::move(gone));
}

void Service::when_all_have_left(std::function<void()> callback) {
  if (leaving_.empty()) return callback();
  when_left_.push_back(std::move(callback));
}

void Service::restart(Done up) {
  if (ending_) return up(fail(ErrorKind::interrupted, "the conductor is being stopped"));
  // Wanted all the time: when the conductor dies in the drain, the next one brings it up again.
  wanted_ = true;
  held_ = false;
  record();
  drain_live([this, up = std::move(up)]() mutable {
    if (!wanted_) return up(fail(ErrorKind::interrupted, fmt::format("service {} was stopped", name())));
    if (!may_start())
      return up(fail(ErrorKind::conflict, fmt::format("service {} is being swapped", name())));
    if (live_is_up()) return up({});  // a swap was faster
    waiting_.push_back(std::move(up));
    backoff_.reset();
    start_live();
  });
}

void Service::remove() {
  restart_timer_.reset();
  records_.clear();
  next_row_.reset();
  answers_itself();
  bind_answers_.drop_all();
  sockets_.close_all();
  parked_.drop_all();
  note(around_.table.erase_service(name()));
}

void Service::start_live() {
  restart_timer_.reset();
  if (live_ || !may_start()) return;
  Result<std::unique_ptr<Instance>> launched = launch(deployment_, Role::live);
  if (!launched) {
    trouble_text_ = one_line(launched.error());
    log(trouble_text_);
    if (is_last_crash()) {
      tell_trouble(trouble_text_);
    } else {
      schedule_restart(/*was_ready=*/false);
    }
    return settle(fail(launched.error()));
  }
  live_ = std::move(*launched);
  if (std::exchange(paused_, false)) record();
  live_->begin();
}

void Service::schedule_restart(bool was_ready) {
  stable_timer_.reset();
  if (live_ || !may_start()) return;
  ++restarts_;
  const os::Milliseconds delay = backoff_.next(around_.random());
  if (delay.count() > 0) log("next start in " + human_duration(delay));
  restart_at_ = around_.timers.clock().monotonic() + delay;
  restart_timer_ = around_.timers.after(delay, [this] { start_live(); });
  start_failed(was_ready);
}

void Service::on_up(std::int64_t id) {
  if (incoming_ && incoming_->id() == id) return finish_bring_up({});
  if (spare_ && spare_->id() == id) {
    spare_timer_ = around_.timers.after(RestartBackoff::kStable, [this] { spare_backoff_.reset(); });
    return;
  }
  if (!live_ || live_->id() != id) return;
  live_is_well();
}

void Service::live_is_well() {
  answers_itself();
  trouble_text_.clear();
  stable_timer_ = around_.timers.after(RestartBackoff::kStable, [this] { backoff_.reset(); });
  settle({});
  want_spare();
}

void Service::on_ill(std::int64_t id, const std::string& cause) {
  if (incoming_ && incoming_->id() == id) {
    incoming_trouble_ = cause;
    if (bring_up_done_) incoming_->kill();
    return take_users_from_incoming();
  }
  if (spare_ && spare_->id() == id) {
    log("the standby is unhealthy: " + cause);
    return drop_spare(nullptr);
  }
  if (!live_ || live_->id() != id) return;
  log("unhealthy: " + cause);
  trouble_text_ = cause;
  settle(fail(ErrorKind::unhealthy, fmt::format("service {} is unhealthy: {}", name(), cause)));
  if (trouble_) return tell_trouble(cause);
  const bool was_ready = live_->was_ready();
  if (take_spare()) return;
  retire(std::move(live_), [this, was_ready] { schedule_restart(was_ready); });
}

void Service::on_unready(std::int64_t id, const std::string& cause) {
  if (!live_ || live_->id() != id) return;
  log(cause.empty() ? "ready again" : cause);
  if (!cause.empty() && trouble_) tell_trouble(cause);
}

void Service::on_ended(std::int64_t id, const os::Exit& exit) {
  const auto leaving =
      std::ranges::find_if(leaving_, [id](const Leaving& one) { return one.instance->id() == id; });
  if (leaving != leaving_.end()) {
    Leaving left = std::move(*leaving);
    leaving_.erase(leaving);
    has_left(std::move(left), exit);
  } else if (incoming_ && incoming_->id() == id) {
    if (incoming_trouble_.empty()) incoming_trouble_ = fmt::format("it ended: {}", exit.to_string());
    take_users_from_incoming();
    const Side side = incoming_->side();
    forget(std::move(incoming_));
    reset_forsaken(side);
    finish_bring_up(fail(ErrorKind::unhealthy, incoming_trouble_));
  } else if (resting_ && resting_->id() == id) {
    log(fmt::format("pid {}, which was kept to go back to, ended: {}", resting_->pid(), exit.to_string()));
    forget(std::move(resting_));
  } else if (spare_ && spare_->id() == id) {
    spare_ended(exit);
  } else if (live_ && live_->id() == id) {
    live_ended(exit);
  }
  want_spare();
  write_records_soon();  // set last, so that the next start comes before
}

void Service::has_left(Leaving left, const os::Exit& exit) {
  log(fmt::format("pid {} has gone: {}", left.instance->pid(), exit.to_string()));
  last_exit_ = exit.to_string();
  const Side side = left.instance->side();
  forget(std::move(left.instance));
  if (!may_have_spare()) reset_forsaken(side);  // else the next standby accepts what waits
  if (left.gone) left.gone();
  if (!leaving_.empty()) return;
  for (const std::function<void()>& callback : std::exchange(when_left_, {})) callback();
}

void Service::live_ended(const os::Exit& exit) {
  last_exit_ = exit.to_string();
  const bool last = is_last_crash();
  const std::string cause = crashes_ > 1 ? fmt::format("it ended {} times: {}", crashes_, last_exit_)
                                         : fmt::format("it ended: {}", last_exit_);
  trouble_text_ = cause;
  log(fmt::format("pid {}: {}", live_->pid(), cause));
  const bool was_ready = live_->was_ready();
  forget(std::move(live_));
  settle(fail(ErrorKind::unhealthy, fmt::format("service {}: {}", name(), cause)));
  if (last && trouble_) return tell_trouble(cause);
  if (!take_spare()) schedule_restart(was_ready);
}

// Counts one.
bool Service::is_last_crash() {
  if (!trouble_) return false;
  return ++crashes_ >= kCrashesInProbation;
}

void Service::tell_trouble(const std::string& cause) {
  hold();
  std::exchange(trouble_, nullptr)(cause);
}

ServiceStatus Service::status() const {
  ServiceStatus status{.name = name(),
                       .project = deployment_.project,
                       .version = deployment_.version,
                       .state = "stopped",
                       .pid = live_ ? live_->pid() : 0,
                       .since_ms = live_ ? live_->started_ms() : 0,
                       .restarts = restarts_,
                       .swap = deployment_.spec.swap == SwapMode::overlap ? "overlap" : "drain-first",
                       .sockets = {},
                       .status_text = trouble_text_.empty() ? sockets_.lost() : trouble_text_,
                       .last_exit = last_exit_,
                       .directory = deployment_.directory.string(),
                       .steering = {},
                       .pin = std::string(to_string(pin_.kind)),
                       .pin_reason = pin_.reason,
                       .standby = standby_state()};
  const bool has_sockets = !deployment_.spec.sockets.empty();
  if (has_sockets) status.steering = can_steer() ? "steered" : "shared socket";
  for (const BoundAddress& socket : sockets_.addresses(deployment_.spec, side_))
    status.sockets.push_back(socket.address);
  if (live_) {
    if (status.status_text.empty()) status.status_text = live_->unready();
    if (status.status_text.empty()) status.status_text = live_->status_text();
    status.state = state_of(*live_);
  } else if (wanted_ && !ending_) {
    status.state = restart_timer_                            ? "backoff"
                   : held_ || incoming_ || !leaving_.empty() ? "starting"
                                                             : "failed";
  }
  if (answering_) status.state = "safe mode";
  return status;
}

Instance* Service::instance_that(const std::function<bool(const Instance&)>& matches) const {
  if (live_ && matches(*live_)) return live_.get();
  if (incoming_ && matches(*incoming_)) return incoming_.get();
  if (resting_ && matches(*resting_)) return resting_.get();
  if (spare_ && matches(*spare_)) return spare_.get();
  for (const Leaving& one : leaving_) {
    if (matches(*one.instance)) return one.instance.get();
  }
  return nullptr;
}

Instance* Service::instance_of(pid_t pid_or_session) const {
  return instance_that([=](const Instance& one) { return one.is_led_by(pid_or_session); });
}

Instance* Service::instance_by_id(std::int64_t id) const {
  return instance_that([=](const Instance& one) { return one.id() == id; });
}

void Service::notify(Instance& from, const Notification& notification, std::vector<UniqueFd> fds,
                     std::size_t room) {
  // What is parked belongs to the live one.
  if (&from == spare_.get()) return from.notify(notification);
  const std::string fd_name = parked_name(notification.fd_name);
  if (notification.drop_parked) parked_.drop(fd_name);
  if (notification.park) {
    for (UniqueFd& fd : fds) {
      const std::size_t before = parked_.count();
      if (room == 0) {
        log(fmt::format("the descriptor \"{}\" is not parked: all services together have too many", fd_name));
        break;
      }
      note(parked_.park(fd_name, std::move(fd)));
      room -= parked_.count() - before;
    }
  }
  from.notify(notification);
}

void Service::retire(std::unique_ptr<Instance> instance, std::function<void()> gone, bool at_once) {
  note(around_.table.set_role(instance->id(), Role::draining));
  Instance& leaving = *instance;
  leaving_.push_back(Leaving{.instance = std::move(instance), .gone = std::move(gone)});
  if (at_once) return leaving.kill();
  // Others cannot accept what waits for it.
  const bool steered_away = leaving.side() != side_ && sockets_.can_steer(leaving.deployment().spec);
  if (!steered_away) return leaving.drain();
  const os::Milliseconds patience = std::min(kMostToAccept, leaving.deployment().spec.drain_timeout);
  drain_when_accepted(leaving.id(), around_.timers.clock().monotonic() + patience);
}

void Service::settle(const Status& status) {
  for (const Done& done : std::exchange(waiting_, {})) done(status);
}

void Service::note(const Status& status) const {
  if (!status) log(one_line(status.error()));
}

void Service::log(const std::string& text) const {
  around_.log(fmt::format("{}: {}", name(), text));
}

}  // namespace sb::supervise
