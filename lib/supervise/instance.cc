#include "supervise/instance.h"

#include <csignal>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::supervise {
namespace {

// How often a starting instance is asked: the swap waits for the answer.
constexpr os::Milliseconds kStartInterval{25};
// After a stall of the whole machine a timer may come before the datagram that was sent in time.
constexpr os::Milliseconds kWatchdogGrace{200};

}  // namespace

Instance::Instance(Surroundings& around, Origin origin, Events events)
    : around_(around), origin_(std::move(origin)), events_(std::move(events)), ready_(origin_.ready) {}

void Instance::begin() {
  exit_ = around_.processes.on_exit(origin_.process, [this](const os::Exit& exit) { ended(exit); });
  deadline_ = around_.timers.after(spec().start_timeout, [this] { not_up_in_time(); });
  if (ready_ || spec().ready.kind == ProbeSpec::Kind::none) {
    next_probe_ = around_.timers.after(os::Milliseconds(0), [this] { became_ready(); });
  } else if (spec().ready.kind != ProbeSpec::Kind::notify) {
    ask();
  }
}

void Instance::notify(const Notification& notification) {
  if (phase_ == Phase::ended) return;
  if (notification.status) status_text_ = *notification.status;
  if (notification.extend_timeout_usec && (phase_ == Phase::starting || phase_ == Phase::draining)) {
    const os::Milliseconds more(*notification.extend_timeout_usec / 1000);
    if (phase_ == Phase::draining) {
      kill_after(more);
    } else {
      deadline_ = around_.timers.after(more, [this] { not_up_in_time(); });
    }
  }
  const bool watched = spec().health.kind == ProbeSpec::Kind::watchdog;
  if (notification.watchdog && watched && phase_ == Phase::up) expect_watchdog();
  if (notification.ready && !ready_ && spec().ready.kind == ProbeSpec::Kind::notify &&
      phase_ == Phase::starting) {
    became_ready();
  }
}

void Instance::became_ready() {
  ready_ = true;
  last_failure_.clear();
  events_.ready();
  const ProbeSpec::Kind health = spec().health.kind;
  if (health == ProbeSpec::Kind::none || health == ProbeSpec::Kind::watchdog) {
    became_up();
  } else {
    ask();
  }
}

void Instance::became_up() {
  phase_ = Phase::up;
  deadline_.reset();
  if (spec().health.kind == ProbeSpec::Kind::watchdog) {
    expect_watchdog();
  } else if (spec().health.kind != ProbeSpec::Kind::none) {
    ask_again(spec().health.interval);
  }
  events_.up();
}

void Instance::became_ill(const std::string& cause) {
  phase_ = Phase::ill;
  deadline_.reset();
  next_probe_.reset();
  watchdog_.reset();
  events_.ill(cause);
}

void Instance::not_up_in_time() {
  std::string cause = fmt::format("{} within {}", ready_ ? "ready, but not healthy" : "not ready",
                                  human_duration(spec().start_timeout));
  if (!last_failure_.empty()) cause += ": " + last_failure_;
  became_ill(cause);
}

void Instance::ended(const os::Exit& exit) {
  phase_ = Phase::ended;
  exit_.reset();
  deadline_.reset();
  next_probe_.reset();
  watchdog_.reset();
  events_.ended(exit);
}

void Instance::ask() {
  const ProbeSpec& probe = ready_ ? spec().health : spec().ready;
  around_.probe.ask(probe, origin_.sockets, origin_.deployment.directory,
                    [this, alive = std::weak_ptr<int>(alive_)](Status status) {
                      if (!alive.expired()) answered(std::move(status));
                    });
}

void Instance::ask_again(os::Milliseconds delay) {
  next_probe_ = around_.timers.after(delay, [this] { ask(); });
}

void Instance::answered(Status status) {
  if (phase_ != Phase::starting && phase_ != Phase::up) return;
  if (!status) last_failure_ = one_line(status.error());
  if (phase_ == Phase::starting) {
    if (!status) return ask_again(std::min(kStartInterval, spec().health.interval));
    if (!ready_) return became_ready();
    ++checks_passed_;
    return became_up();
  }
  if (status) {
    failures_ = 0;
    ++checks_passed_;
    return ask_again(spec().health.interval);
  }
  if (status.error().kind == ErrorKind::environment) return ask_again(spec().health.interval);
  if (++failures_ < spec().health.failures) return ask_again(spec().health.interval);
  became_ill(fmt::format("{} health check{} failed: {}", failures_, failures_ == 1 ? "" : "s in a row",
                         last_failure_));
}

void Instance::expect_watchdog() {
  watchdog_ = around_.timers.after(spec().health.interval, [this] {
    watchdog_ = around_.timers.after(kWatchdogGrace, [this] {
      became_ill(fmt::format("no WATCHDOG=1 for {}", human_duration(spec().health.interval)));
    });
  });
}

void Instance::drain() {
  if (phase_ == Phase::ended || phase_ == Phase::draining) return;
  phase_ = Phase::draining;
  next_probe_.reset();
  watchdog_.reset();
  kill_after(spec().drain_timeout);
  around_.processes.signal(origin_.process, SIGTERM, /*whole_group=*/false);
}

void Instance::kill_after(os::Milliseconds delay) {
  deadline_ = around_.timers.after(delay, [this] { kill(); });
}

void Instance::kill() {
  if (phase_ == Phase::ended) return;
  phase_ = Phase::draining;
  deadline_.reset();
  next_probe_.reset();
  watchdog_.reset();
  around_.processes.signal(origin_.process, SIGKILL, /*whole_group=*/true);
}

}  // namespace sb::supervise
