#include "supervise/instance.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "supervise/address.h"

namespace sb::supervise {
namespace {

// How often a starting instance is asked: the swap waits for the answer.
constexpr os::Milliseconds kStartInterval{25};
// After a stall of the whole machine a timer may come before the datagram that was sent in time.
constexpr os::Milliseconds kWatchdogGrace{200};
// Many services that were started in one moment are not all asked in one moment.
constexpr double kJitter = 0.1;
constexpr int kMostBusy = 10;  // checks in a row

}  // namespace

Instance::Instance(Surroundings& around, Origin origin, Events events)
    : around_(around),
      origin_(std::move(origin)),
      events_(std::move(events)),
      ready_(origin_.ready),
      health_(spec().health.failures, spec().health.successes),
      readiness_(spec().ready.failures, spec().ready.successes),
      watchdog_interval_(spec().health.interval) {}

void Instance::begin() {
  exit_ = around_.processes.on_exit(origin_.process, [this](const os::Exit& exit) { ended(exit); });
  deadline_ = around_.timers.after(spec().start_timeout, [this] { not_up_in_time(); });
  if (ready_) {
    next_probe_ = around_.timers.after(os::Milliseconds(0), [this] { became_ready(); });
  } else {
    enter(spec().start.asks() ? Stage::start : Stage::ready);
  }
}

// -- starting
// ---------------------------------------------------------------------------------------------------

const ProbeSpec& Instance::stage_probe() const {
  return stage_ == Stage::start ? spec().start : stage_ == Stage::ready ? spec().ready : spec().health;
}

void Instance::enter(Stage stage) {
  stage_ = stage;
  good_in_a_row_ = 0;
  last_failure_.clear();
  const ProbeSpec& probe = stage_probe();
  if (probe.asks()) return ask(probe, &Instance::heard_in_stage);
  if (probe.kind == ProbeSpec::Kind::notify && !said_ready_) return;
  next_probe_ = around_.timers.after(os::Milliseconds(0), [this] { stage_done(); });
}

void Instance::heard_in_stage(const Timed& answer) {
  if (phase_ != Phase::starting) return;
  const Status& status = answer.status;
  const ProbeSpec& probe = stage_probe();
  good_in_a_row_ = status ? good_in_a_row_ + 1 : 0;
  if (!status) last_failure_ = one_line(status.error());
  if (good_in_a_row_ >= probe.successes) return stage_done();
  next_probe_ = around_.timers.after(std::min(kStartInterval, probe.interval),
                                     [this, &probe] { ask(probe, &Instance::heard_in_stage); });
}

void Instance::stage_done() {
  switch (stage_) {
    case Stage::start:
      return enter(Stage::ready);
    case Stage::ready:
      return became_ready();
    case Stage::health:
      checks_passed_ += good_in_a_row_;
      return became_up();
  }
}

void Instance::became_ready() {
  ready_ = true;
  last_failure_.clear();
  events_.ready();
  if (phase_ != Phase::starting) return;
  if (!spec().health.asks()) return became_up();
  enter(Stage::health);
}

void Instance::not_up_in_time() {
  const char* const what = ready_                   ? "ready, but not healthy"
                           : stage_ == Stage::start ? "not started"
                                                    : "not ready";
  std::string cause = fmt::format("{} within {}", what, human_duration(spec().start_timeout));
  if (!last_failure_.empty()) cause += ": " + last_failure_;
  became_ill(cause);
}

// -- up
// ---------------------------------------------------------------------------------------------------------

void Instance::became_up() {
  phase_ = Phase::up;
  deadline_.reset();
  if (spec().health.kind == ProbeSpec::Kind::watchdog) expect_watchdog();
  if (spec().health.asks()) ask_health_again();
  if (spec().ready.asks()) ask_readiness_again();
  events_.up();
}

void Instance::became_ill(const std::string& cause) {
  phase_ = Phase::ill;
  reloading_ = false;
  deadline_.reset();
  stop_asking();
  events_.ill(cause);
}

void Instance::ask(const ProbeSpec& probe, Heard heard) {
  around_.probe.ask(probe, origin_.sockets, origin_.deployment.directory,
                    [this, heard, alive = std::weak_ptr<int>(alive_)](const Timed& answer) {
                      if (!alive.expired()) (this->*heard)(answer);
                    });
}

os::Milliseconds Instance::until_next(const ProbeSpec& probe) const {
  const auto interval = static_cast<double>(probe.interval.count());
  return probe.interval +
         os::Milliseconds(static_cast<os::Milliseconds::rep>(interval * kJitter * around_.random()));
}

void Instance::ask_health_again() {
  next_probe_ = around_.timers.after(until_next(spec().health),
                                     [this] { ask(spec().health, &Instance::heard_health); });
}

void Instance::ask_readiness_again() {
  next_readiness_ = around_.timers.after(until_next(spec().ready),
                                         [this] { ask(spec().ready, &Instance::heard_readiness); });
}

// No answer in time is no sign of a hang while users are answered: it has much to do. But a connection on
// which the two sides only show that they are there looks the same, so this holds for a while; and nobody is
// patient with a version that has yet to prove itself.
bool Instance::is_busy(const ProbeSpec& probe, const Timed& answer) {
  if (answer.status) {
    busy_in_a_row_ = 0;
    return false;
  }
  const std::vector<std::uint16_t> own = ports();
  if (answer.took < probe.timeout || busy_in_a_row_ == kMostBusy || own.empty() || !events_.is_trusted() ||
      !around_.processes.answers(origin_.process, own, probe.timeout))
    return false;
  if (++busy_in_a_row_ == 1)
    around_.log(fmt::format("{}: a health check got no answer in time, but users did: it does not count",
                            spec().name));
  return true;
}

void Instance::heard_health(const Timed& answer) {
  if (phase_ != Phase::up) return;
  const Status& status = answer.status;
  if (status) ++checks_passed_;
  const bool counts = !reloading_ && (status || status.error().kind != ErrorKind::environment) &&
                      !is_busy(spec().health, answer);
  if (counts && health_.answer(status.has_value(), around_.timers.clock().monotonic())) {
    return became_ill(fmt::format("{}: {}", health_.reason("health check"), one_line(status.error())));
  }
  ask_health_again();
}

void Instance::heard_readiness(const Timed& answer) {
  if (phase_ != Phase::up) return;
  const Status& status = answer.status;
  ask_readiness_again();
  const bool counts = !reloading_ && (status || status.error().kind != ErrorKind::environment);
  if (!counts || !readiness_.answer(status.has_value(), around_.timers.clock().monotonic())) return;
  unready_ = readiness_.good() ? ""
                               : fmt::format("not ready: {}: {}", readiness_.reason("readiness check"),
                                             one_line(status.error()));
  events_.unready(unready_);
}

void Instance::expect_watchdog() {
  watchdog_ = around_.timers.after(watchdog_interval_, [this] {
    watchdog_ = around_.timers.after(kWatchdogGrace, [this] {
      became_ill(fmt::format("no WATCHDOG=1 for {}", human_duration(watchdog_interval_)));
    });
  });
}

// -- what it says itself
// ----------------------------------------------------------------------------------------

void Instance::notify(const Notification& notification) {
  if (phase_ == Phase::ended) return;
  if (notification.status) status_text_ = *notification.status;
  if (notification.main_pid && *notification.main_pid != pid()) take_main_process(*notification.main_pid);
  if (notification.extend_timeout_usec) {
    const os::Milliseconds more(*notification.extend_timeout_usec / 1000);
    if (phase_ == Phase::draining) kill_after(more);
    if (reloading_) reload_within(more);
    if (phase_ == Phase::starting) deadline_ = around_.timers.after(more, [this] { not_up_in_time(); });
  }
  if (notification.watchdog_usec) {
    watchdog_interval_ = os::Milliseconds(std::max(*notification.watchdog_usec / 1000, 1LL));
  }
  const bool watched = spec().health.kind == ProbeSpec::Kind::watchdog;
  if ((notification.watchdog || notification.watchdog_usec) && watched && phase_ == Phase::up)
    expect_watchdog();
  if (notification.ready) {
    said_ready_ = true;
    if (std::exchange(reloading_, false) && phase_ == Phase::up) deadline_.reset();
    const bool awaited = stage_ == Stage::ready && spec().ready.kind == ProbeSpec::Kind::notify;
    if (awaited && !ready_ && phase_ == Phase::starting) return became_ready();
  } else if (notification.reloading && phase_ == Phase::up) {
    reload_within(spec().start_timeout);
  }
  if (notification.stopping) return stop_by_itself();
  if (notification.watchdog_trigger && (phase_ == Phase::starting || phase_ == Phase::up)) {
    became_ill("it says so itself (WATCHDOG=trigger)");
  }
}

// Between RELOADING=1 and READY=1 nobody blames it for its answers, for as long as a start may take.
void Instance::reload_within(os::Milliseconds time) {
  reloading_ = true;
  deadline_ = around_.timers.after(time, [this, time] {
    became_ill(fmt::format("RELOADING=1, but no READY=1 within {}", human_duration(time)));
  });
}

// STOPPING=1 of one that nobody told to stop: it has as long as any that is drained.
void Instance::stop_by_itself() {
  if (phase_ != Phase::starting && phase_ != Phase::up) return;
  phase_ = Phase::draining;
  reloading_ = false;
  stop_asking();
  kill_after(spec().drain_timeout);
}

// A program that hands over to another process of its own. The first one is reaped when it ends, and means
// nothing any more.
void Instance::take_main_process(pid_t pid) {
  std::optional<os::Process> process = around_.processes.find(pid, origin_.marks);
  if (!process) return;
  exit_.reset();
  os::Process before = std::exchange(origin_.process, std::move(*process));
  if (first_process_.pid < 0) {
    first_process_ = std::move(before);
    first_exit_ =
        around_.processes.on_end_alone(first_process_, [this](const os::Exit&) { first_exit_.reset(); });
  }
  exit_ = around_.processes.on_exit(origin_.process, [this](const os::Exit& exit) { ended(exit); });
  events_.main_process();
}

// -- the end
// ----------------------------------------------------------------------------------------------------

void Instance::ended(const os::Exit& exit) {
  phase_ = Phase::ended;
  exit_.reset();
  deadline_.reset();
  stop_asking();
  reloading_ = false;
  events_.ended(exit);
}

void Instance::stop_asking() {
  next_probe_.reset();
  next_readiness_.reset();
  watchdog_.reset();
}

void Instance::drain() {
  if (phase_ == Phase::ended || told_to_end_) return;
  told_to_end_ = true;
  phase_ = Phase::draining;
  reloading_ = false;
  stop_asking();
  kill_after(spec().drain_timeout);
  around_.processes.signal(origin_.process, SIGTERM, /*whole_group=*/false);
}

void Instance::kill_after(os::Milliseconds delay) {
  deadline_ = around_.timers.after(delay, [this] { kill(); });
}

// Of its TCP sockets.
std::vector<std::uint16_t> Instance::ports() const {
  std::vector<std::uint16_t> ports;
  for (const BoundAddress& socket : origin_.sockets) {
    const Result<Address> address = parse_address(socket.address);
    if (address && !address->is_unix()) ports.push_back(static_cast<std::uint16_t>(address->port));
  }
  return ports;
}

int Instance::unanswered() const {
  const std::vector<std::uint16_t> own = ports();
  return own.empty() ? 0 : around_.processes.unanswered(origin_.process, own);
}

void Instance::kill() {
  if (phase_ == Phase::ended) return;
  told_to_end_ = true;
  phase_ = Phase::draining;
  deadline_.reset();
  stop_asking();
  around_.processes.signal(origin_.process, SIGKILL, /*whole_group=*/true);
  if (first_exit_) around_.processes.signal(first_process_, SIGKILL, /*whole_group=*/true);
}

}  // namespace sb::supervise
