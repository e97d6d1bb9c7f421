// A service's everyday life: start, restart, stop, status. What it does for a swap is in service_swap.cc.
#include "supervise/service.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "supervise/service_log.h"

namespace sb::supervise {
namespace {

constexpr os::Milliseconds kRecordAgain{1'000};

std::string instance_variable(const std::string& service, std::int64_t id) {
  return fmt::format("SELFBUILD_INSTANCE={}:{}", service, id);
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
          {"directory", status.directory}};
}

Result<std::unique_ptr<Service>> Service::make(Surroundings& around, Deployment deployment, bool wanted) {
  SB_CHECK(around.table.put_service(ServiceRow{.deployment = deployment, .wanted = wanted, .paused = false}));
  return std::unique_ptr<Service>(new Service(around, std::move(deployment), wanted));
}

Result<std::unique_ptr<Service>> Service::recover(Surroundings& around, const ServiceRow& row) {
  std::unique_ptr<Service> service(new Service(around, row.deployment, row.wanted));
  service->paused_ = row.paused;
  SB_TRY(const std::vector<InstanceRow> instances, around.table.instances(service->name()));
  SB_TRY(const std::vector<SocketRow> sockets, around.table.sockets(service->name()));
  // Any of its processes can give a lost socket back.
  std::optional<os::Process> holder;
  ServiceSpec holder_spec;
  for (const InstanceRow& one : instances) {
    if (holder || one.pid == 0) continue;
    holder = around.processes.adopt(one.pid, one.start_ticks);
    holder_spec = one.deployment.spec;
  }
  service->sockets_.recover(sockets, holder ? &*holder : nullptr, holder_spec);
  for (const InstanceRow& one : instances) service->adopt(one);
  return service;
}

std::vector<std::string> Service::marks(std::int64_t id) const {
  std::vector<std::string> marks{instance_variable(name(), id)};
  std::ranges::copy_if(around_.environment, std::back_inserter(marks),
                       [](const std::string& variable) { return variable.starts_with("SELFBUILD_SOCKET="); });
  return marks;
}

void Service::adopt(const InstanceRow& row) {
  std::optional<os::Process> process = row.pid != 0 ? around_.processes.adopt(row.pid, row.start_ticks)
                                                    : around_.processes.find_marked(marks(row.id));
  if (!process) {
    // Its end was not seen, so nobody has killed what it left.
    if (row.pid != 0) around_.processes.kill_rest(row.pid, marks(row.id));
    note(around_.table.erase_instance(row.id));
    log(fmt::format("its {} process of v{} ended while the conductor was away",
                    row.role == Role::live ? "live" : "other", row.deployment.version));
    if (row.role == Role::live) last_exit_ = "ended while the conductor was away";
    return;
  }
  if (row.pid == 0) note(around_.table.set_process(row.id, process->pid, process->start_ticks));
  Instance::Events events = events_of(row.id);
  // It is the keeper's child, not ours: when we hear of its end it has been reaped, and its group cannot be
  // signalled by its number any more.
  events.ended = [this, id = row.id, pid = process->pid](const os::Exit& exit) {
    around_.processes.kill_rest(pid, marks(id));
    on_ended(id, exit);
  };
  auto instance =
      std::make_unique<Instance>(around_,
                                 Instance::Origin{.id = row.id,
                                                  .process = std::move(*process),
                                                  .deployment = row.deployment,
                                                  .sockets = sockets_.addresses(row.deployment.spec),
                                                  .ready = row.ready,
                                                  .started_ms = row.started_ms},
                                 std::move(events));
  log(fmt::format("adopted pid {} (v{})", instance->pid(), row.deployment.version));
  if (row.role == Role::live && !live_) {
    paused_ = false;
    deployment_ = row.deployment;  // what runs is the truth, and is what a restart has to start
    live_ = std::move(instance);
    live_->begin();
  } else if (row.role == Role::incoming && !incoming_) {
    incoming_ = std::move(instance);
    incoming_->begin();
  } else {
    instance->begin();
    retire(std::move(instance), nullptr);
  }
}

Result<std::unique_ptr<Instance>> Service::launch(const Deployment& deployment, Role role) {
  SB_TRY(ListeningSockets::Passed sockets, sockets_.for_spec(deployment.spec));
  SB_TRY(const UniqueFd output, open_service_log(around_.home.service(name())));
  cap_service_log(around_.home.service(name()));

  InstanceRow row;
  row.service = name();
  row.role = role;
  row.deployment = deployment;
  row.started_ms = around_.timers.clock().unix_ms();
  SB_TRY(const std::int64_t id, around_.table.announce(row));

  os::SpawnSpec spec;
  spec.argv = resolved_command(deployment.spec.command, deployment.directory);
  spec.environment = service_environment(deployment.spec, around_.notify_socket);
  std::ranges::copy(around_.environment, std::back_inserter(spec.environment));
  spec.environment.push_back(instance_variable(name(), id));
  spec.directory = deployment.directory;
  spec.sockets = sockets.fds;
  spec.socket_names = sockets.names;
  spec.output = output.get();
  Result<os::Process> process = around_.processes.start(spec);
  if (!process) {
    note(around_.table.erase_instance(id));
    return fail(std::move(process.error()).doing(fmt::format("starting service {}", name())));
  }
  note(around_.table.set_process(id, process->pid, process->start_ticks));
  log(fmt::format("started v{} as pid {}", deployment.version, process->pid));
  return std::make_unique<Instance>(around_,
                                    Instance::Origin{.id = id,
                                                     .process = std::move(*process),
                                                     .deployment = deployment,
                                                     .sockets = std::move(sockets.addresses),
                                                     .ready = false,
                                                     .started_ms = row.started_ms},
                                    events_of(id));
}

Instance::Events Service::events_of(std::int64_t id) {
  return Instance::Events{.ready = [this, id] { note(around_.table.set_ready(id)); },
                          .up = [this, id] { on_up(id); },
                          .ill = [this, id](const std::string& cause) { on_ill(id, cause); },
                          .ended = [this, id](const os::Exit& exit) { on_ended(id, exit); }};
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
  drain_live(std::move(gone));
}

void Service::pause(std::function<void()> gone) {
  ending_ = true;
  paused_ = wanted_;
  record();
  // A swap that is under way is not answered any more: the conductor's next start takes it up again.
  bring_up_done_ = nullptr;
  if (incoming_) retire(std::move(incoming_), nullptr);
  drain_live(std::move(gone));
}

void Service::drain_live(std::function<void()> gone) {
  restart_timer_.reset();
  stable_timer_.reset();
  settle(fail(ErrorKind::interrupted, fmt::format("service {} was stopped", name())));
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
  sockets_.close_all();
  note(around_.table.erase_service(name()));
}

void Service::start_live() {
  restart_timer_.reset();
  if (live_ || !may_start()) return;
  Result<std::unique_ptr<Instance>> launched = launch(deployment_, Role::live);
  if (!launched) {
    trouble_text_ = one_line(launched.error());
    log(trouble_text_);
    schedule_restart();
    return settle(fail(launched.error()));
  }
  live_ = std::move(*launched);
  if (std::exchange(paused_, false)) record();
  live_->begin();
}

void Service::schedule_restart() {
  stable_timer_.reset();
  if (live_ || !may_start()) return;
  ++restarts_;
  const os::Milliseconds delay = backoff_.next();
  if (delay.count() > 0) log("next start in " + human_duration(delay));
  restart_timer_ = around_.timers.after(delay, [this] { start_live(); });
}

void Service::on_up(std::int64_t id) {
  if (incoming_ && incoming_->id() == id) return finish_bring_up({});
  if (!live_ || live_->id() != id) return;
  trouble_text_.clear();
  stable_timer_ = around_.timers.after(RestartBackoff::kStable, [this] { backoff_.reset(); });
  settle({});
}

void Service::on_ill(std::int64_t id, const std::string& cause) {
  if (incoming_ && incoming_->id() == id) {
    incoming_trouble_ = cause;
    if (bring_up_done_) incoming_->kill();
    return;
  }
  if (!live_ || live_->id() != id) return;
  log("unhealthy: " + cause);
  trouble_text_ = cause;
  settle(fail(ErrorKind::unhealthy, fmt::format("service {} is unhealthy: {}", name(), cause)));
  if (trouble_) return tell_trouble(cause);
  retire(std::move(live_), [this] { schedule_restart(); });
}

void Service::on_ended(std::int64_t id, const os::Exit& exit) {
  for (auto one = leaving_.begin(); one != leaving_.end(); ++one) {
    if (one->instance->id() != id) continue;
    Leaving left = std::move(*one);
    leaving_.erase(one);
    log(fmt::format("pid {} has gone: {}", left.instance->pid(), exit.to_string()));
    last_exit_ = exit.to_string();
    forget(std::move(left.instance));
    if (left.gone) left.gone();
    if (leaving_.empty()) {
      for (const std::function<void()>& callback : std::exchange(when_left_, {})) callback();
    }
    return;
  }
  if (incoming_ && incoming_->id() == id) {
    if (incoming_trouble_.empty()) incoming_trouble_ = fmt::format("it ended: {}", exit.to_string());
    forget(std::move(incoming_));
    return finish_bring_up(fail(ErrorKind::unhealthy, incoming_trouble_));
  }
  if (!live_ || live_->id() != id) return;
  last_exit_ = exit.to_string();
  const std::string cause = fmt::format("it ended: {}", last_exit_);
  trouble_text_ = cause;
  log(fmt::format("pid {}: {}", live_->pid(), cause));
  forget(std::move(live_));
  settle(fail(ErrorKind::unhealthy, fmt::format("service {}: {}", name(), cause)));
  if (trouble_) return tell_trouble(cause);
  schedule_restart();
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
                       .directory = deployment_.directory.string()};
  for (const BoundAddress& socket : sockets_.addresses(deployment_.spec))
    status.sockets.push_back(socket.address);
  if (live_) {
    if (status.status_text.empty()) status.status_text = live_->status_text();
    const Instance::Phase phase = live_->phase();
    status.state = phase == Instance::Phase::starting ? "starting"
                   : phase == Instance::Phase::up     ? "running"
                                                      : "unhealthy";
  } else if (wanted_ && !ending_) {
    status.state = restart_timer_                            ? "backoff"
                   : held_ || incoming_ || !leaving_.empty() ? "starting"
                                                             : "failed";
  }
  return status;
}

Instance* Service::instance_of(pid_t pid) {
  if (live_ && live_->pid() == pid) return live_.get();
  if (incoming_ && incoming_->pid() == pid) return incoming_.get();
  for (const Leaving& one : leaving_) {
    if (one.instance->pid() == pid) return one.instance.get();
  }
  return nullptr;
}

void Service::retire(std::unique_ptr<Instance> instance, std::function<void()> gone, bool at_once) {
  note(around_.table.set_role(instance->id(), Role::draining));
  Instance& leaving = *instance;
  leaving_.push_back(Leaving{.instance = std::move(instance), .gone = std::move(gone)});
  if (at_once) {
    leaving.kill();
  } else {
    leaving.drain();
  }
}

void Service::settle(const Status& status) {
  for (const Done& done : std::exchange(waiting_, {})) done(status);
}

void Service::forget(std::unique_ptr<Instance> instance) {
  note(around_.table.erase_instance(instance->id()));
  bury(std::move(instance));
}

// An instance may be on the call stack when it is given up: it is destroyed in a turn of its own.
void Service::bury(std::unique_ptr<Instance> instance) {
  buried_.push_back(std::move(instance));
  funeral_ = around_.timers.after(os::Milliseconds(0), [this] { buried_.clear(); });
}

void Service::record() {
  note(around_.table.put_service(row()));
}

// Again until it is on disk: a conductor that finds the old one there would start that.
void Service::record_hand_over(std::int64_t from) {
  const bool stays = live_ && live_->id() != from;
  const Status recorded = around_.table.hand_over(row(), stays ? live_->id() : 0, from);
  note(recorded);
  record_timer_.reset();
  if (recorded) return;
  record_timer_ = around_.timers.after(kRecordAgain, [this] { record_hand_over(0); });
}

void Service::note(const Status& status) const {
  if (!status) log(one_line(status.error()));
}

void Service::log(const std::string& text) const {
  around_.log(fmt::format("{}: {}", name(), text));
}

}  // namespace sb::supervise
