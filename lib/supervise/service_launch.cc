// How a service's processes are started and found again, and the rows that say so on disk. Between a crash
// and the next start nothing is written: the row of the next process stands there beforehand, and what became
// of it is written once it runs.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "os/file_system.h"
#include "supervise/service.h"
#include "supervise/service_log.h"

namespace sb::supervise {
namespace {

constexpr os::Milliseconds kRecordAgain{1'000};

std::string instance_variable(const std::string& service, std::int64_t id) {
  return fmt::format("SELFBUILD_INSTANCE={}:{}", service, id);
}

}  // namespace

Result<std::unique_ptr<Service>> Service::recover(Surroundings& around, const ServiceRow& row) {
  std::unique_ptr<Service> service(new Service(around, row.deployment, row.wanted));
  service->paused_ = row.paused;
  service->side_ = row.side;
  service->pin_ = row.pin;
  ::unlink(service->code_file().c_str());  // of a safe mode that ended with the conductor before
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
  SB_TRY(const std::vector<ParkedRow> parked, around.table.parked(service->name()));
  service->parked_.recover(parked);
  service->sockets_.recover(sockets, holder ? &*holder : nullptr, holder_spec, row.side);
  service->steer(row.side);
  for (const InstanceRow& one : instances) service->adopt(one);
  service->recover_spare();
  if (service->live_) service->announce_next();
  return service;
}

std::vector<std::string> Service::marks(std::int64_t id) const {
  std::vector<std::string> marks{instance_variable(name(), id)};
  std::ranges::copy_if(around_.environment, std::back_inserter(marks),
                       [](const std::string& variable) { return variable.starts_with("SELFBUILD_SOCKET="); });
  return marks;
}

std::optional<os::Process> Service::process_of(const InstanceRow& row) {
  if (row.pid != 0) {
    std::optional<os::Process> process = around_.processes.adopt(row.pid, row.start_ticks);
    if (process) return process;
    // Its end was not seen, so nobody has killed what it left.
    around_.processes.kill_rest(row.pid, marks(row.id));
    log(fmt::format("its {} process of v{} ended while the conductor was away",
                    row.role == Role::live ? "live" : "other", row.deployment.version));
    if (row.role == Role::live) last_exit_ = "ended while the conductor was away";
    return std::nullopt;
  }
  return around_.processes.find_marked(marks(row.id));
}

void Service::adopt(const InstanceRow& row) {
  // Announced for the time when the live one ends, which has not come.
  const bool ahead = row.pid == 0 && row.role == Role::live && live_;
  if (ahead && !next_row_ && row.deployment.is(deployment_)) {
    next_row_ = row.id;
    return;
  }
  if (ahead) return note(around_.table.erase_instance(row.id));
  std::optional<os::Process> process = process_of(row);
  if (!process) return note(around_.table.erase_instance(row.id));
  if (row.pid == 0) {
    note(around_.table.set_process(row.id, process->pid, process->start_ticks, row.started_ms));
  }
  if (row.deployment.spec.may_bind()) bind_answers_.recover(row.id, row.deployment.spec, row.side);
  Instance::Events events = events_of(row.id);
  // It is the keeper's child, not ours: when we hear of its end it has been reaped, and its group cannot be
  // signalled by its number any more.
  events.ended = [this, id = row.id, pid = process->pid](const os::Exit& exit) {
    around_.processes.kill_rest(pid, marks(id));
    on_ended(id, exit);
  };
  auto instance = std::make_unique<Instance>(
      around_,
      Instance::Origin{.id = row.id,
                       .process = std::move(*process),
                       .deployment = row.deployment,
                       .sockets = sockets_.addresses(row.deployment.spec, row.side),
                       .marks = marks(row.id),
                       .ready = row.ready,
                       .started_ms = row.started_ms,
                       .side = row.side},
      std::move(events));
  log(fmt::format("adopted pid {} (v{})", instance->pid(), row.deployment.version));
  if (row.role == Role::live && !live_) {
    paused_ = false;
    deployment_ = row.deployment;  // what runs is the truth, and is what a restart has to start
    live_ = std::move(instance);
    if (row.side != side_) steer(row.side);
    live_->begin();
  } else if (row.role == Role::incoming && !incoming_) {
    incoming_ = std::move(instance);
    exposed_ = incoming_->side() != side_;
    incoming_->begin();
  } else if (row.role == Role::resting && !resting_) {
    resting_ = std::move(instance);
    resting_->begin();
  } else if (row.role == Role::standby && !spare_) {
    spare_ = std::move(instance);
    spare_->begin();
  } else {
    instance->begin();
    retire(std::move(instance), nullptr);
  }
}

Result<std::int64_t> Service::announce(const Deployment& deployment, Role role) {
  InstanceRow row;
  row.service = name();
  row.role = role;
  row.deployment = deployment;
  row.side = side_for(deployment, role);
  row.started_ms = around_.timers.clock().unix_ms();
  return around_.table.announce(row);
}

Result<std::int64_t> Service::row_for(const Deployment& deployment, Role role) {
  if (role != Role::live) return announce(deployment, role);
  if (next_row_) return *std::exchange(next_row_, std::nullopt);
  Result<std::int64_t> announced = announce(deployment, role);
  if (announced) return announced;
  // A disk that is full must not keep it down. Until it is recorded again, a conductor that dies would not
  // find this process: the smaller evil.
  log("not recorded: " + one_line(announced.error()));
  return -++unrecorded_;
}

void Service::announce_next() {
  record_later([this]() -> Status {
    if (next_row_ || !wanted_) return {};
    SB_TRY(next_row_, announce(deployment_, Role::live));
    return {};
  });
}

void Service::withdraw_next() {
  if (!next_row_) return;
  record_later(
      [this, id = *std::exchange(next_row_, std::nullopt)] { return around_.table.erase_instance(id); });
}

UniqueFd Service::open_output() const {
  Result<UniqueFd> output = open_service_log(around_.home.service(name()));
  if (output) return std::move(*output);
  log("its output is lost: " + one_line(output.error()));
  return {};
}

void Service::name_state_directory(std::vector<std::string>& environment) const {
  constexpr std::string_view kName = "STATE_DIRECTORY=";  // systemd.exec(5)
  const auto names_it = [&](const std::string& variable) { return variable.starts_with(kName); };
  if (std::ranges::any_of(environment, names_it)) return;
  const std::filesystem::path folder = around_.home.service(name()) / "state";
  const Status made = os::make_folders(folder);
  if (made) return environment.push_back(std::string(kName) + folder.string());
  log("it has no state directory: " + one_line(made.error()));
}

Result<std::unique_ptr<Instance>> Service::launch(const Deployment& deployment, Role role) {
  const Side side = side_for(deployment, role);
  SB_TRY(ListeningSockets::Passed sockets, sockets_.for_spec(deployment.spec, side));
  SB_TRY(const std::int64_t id, row_for(deployment, role));
  const UniqueFd output = open_output();
  const std::int64_t started_ms = around_.timers.clock().unix_ms();

  os::SpawnSpec spec;
  spec.argv = resolved_command(deployment.spec.command, deployment.directory);
  spec.environment = service_environment(deployment.spec, around_.notify_socket);
  std::ranges::copy(around_.environment, std::back_inserter(spec.environment));
  name_state_directory(spec.environment);
  spec.environment.push_back(instance_variable(name(), id));
  spec.environment.push_back(fmt::format("SELFBUILD_SIDE={}", to_string(side)));
  spec.directory = deployment.directory;
  spec.sockets = sockets.fds;
  spec.socket_names = sockets.names;
  parked_.pass(spec.sockets, spec.socket_names);
  spec.output = output.get();
  spec.ask_for_binds = deployment.spec.may_bind();
  Result<os::Process> process = around_.processes.start(spec);
  if (!process) {
    record_later([this, id] { return around_.table.erase_instance(id); });
    return fail(std::move(process.error()).doing(fmt::format("starting service {}", name())));
  }
  if (spec.ask_for_binds) {
    bind_answers_.begin(id, deployment.spec, side, std::move(process->bind_calls));
  }
  record_later([this, id, pid = process->pid, ticks = process->start_ticks, started_ms]() -> Status {
    cap_service_log(around_.home.service(name()));
    return around_.table.set_process(id, pid, ticks, started_ms);
  });
  if (role == Role::live) announce_next();
  if (answering_) around_.safe_mode.share(name());
  log(fmt::format("started v{} as pid {}", deployment.version, process->pid));
  return std::make_unique<Instance>(around_,
                                    Instance::Origin{.id = id,
                                                     .process = std::move(*process),
                                                     .deployment = deployment,
                                                     .sockets = std::move(sockets.addresses),
                                                     .marks = marks(id),
                                                     .ready = false,
                                                     .started_ms = started_ms,
                                                     .side = side},
                                    events_of(id));
}

Instance::Events Service::events_of(std::int64_t id) {
  return Instance::Events{.ready =
                              [this, id] {
                                answers_itself();
                                note(around_.table.set_ready(id));
                              },
                          .up =
                              [this, id] {
                                log("ready and healthy");
                                on_up(id);
                              },
                          .ill = [this, id](const std::string& cause) { on_ill(id, cause); },
                          .unready = [this, id](const std::string& cause) { on_unready(id, cause); },
                          .is_trusted = [this, id] { return !trouble_ && live_ && live_->id() == id; },
                          .main_process = [this, id] { on_main_process(id); },
                          .ended = [this, id](const os::Exit& exit) { on_ended(id, exit); }};
}

// What the first process left goes with the main one; who adopts it later knows the main one only.
void Service::on_main_process(std::int64_t id) {
  const Instance* const instance = instance_by_id(id);
  if (instance == nullptr) return;
  log(fmt::format("pid {} is its main process now", instance->pid()));
  record_later([this, id, pid = instance->pid(), ticks = instance->start_ticks(),
                since = instance->started_ms()] { return around_.table.set_process(id, pid, ticks, since); });
}

void Service::forget(std::unique_ptr<Instance> instance) {
  if (instance->first_pid() > 0) {
    around_.processes.kill_rest(instance->first_pid(), marks(instance->id()));
  }
  records_.emplace_back([this, id = instance->id()] { return around_.table.erase_instance(id); });
  bury(std::move(instance));
}

// An instance may be on the call stack when it is given up: it is destroyed in a turn of its own. One whose
// first process is still to be reaped has to wait for the next funeral.
void Service::bury(std::unique_ptr<Instance> instance) {
  buried_.push_back(std::move(instance));
  funeral_ = around_.timers.after(os::Milliseconds(0), [this] {
    std::erase_if(buried_, [](const std::unique_ptr<Instance>& one) { return one->is_over(); });
  });
}

void Service::record_later(std::function<Status()> record) {
  records_.push_back(std::move(record));
  write_records_soon();
}

void Service::write_records_soon() {
  if (records_timer_ || records_.empty()) return;
  records_timer_ = around_.timers.after(os::Milliseconds(0), [this] {
    records_timer_.reset();
    write_records();
  });
}

void Service::write_records() {
  for (const std::function<Status()>& record : std::exchange(records_, {})) note(record());
}

void Service::record() {
  note(around_.table.put_service(row()));
}

// Again until it is on disk: a conductor that finds the old one there would start that.
void Service::record_hand_over(std::int64_t from, Role role_of_from) {
  const bool stays = live_ && live_->id() != from;
  write_records();  // the rows that it is about may wait there
  const Status recorded = around_.table.hand_over(row(), stays ? live_->id() : 0, from, role_of_from);
  note(recorded);
  record_timer_.reset();
  if (recorded) return;
  record_timer_ = around_.timers.after(kRecordAgain, [this] { record_hand_over(0); });
}

}  // namespace sb::supervise
