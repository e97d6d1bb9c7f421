// A standby: a second process of the live version, booted and asked for its health, on the other one of the
// two sockets on each address, where no user comes. When the live one crashes or turns ill, users are steered
// to it by one system call a socket, instead of waiting for a boot; then the next standby is started.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "supervise/service.h"

namespace sb::supervise {

namespace {

constexpr os::Milliseconds kWithSomebodyWaiting{200};

}  // namespace

// A swap needs the sockets for itself.
bool Service::may_have_spare() const {
  if (!deployment_.spec.standby || !may_start() || !live_is_up() || !can_steer()) return false;
  if (spare_ || resting_ || incoming_ || bring_up_done_) return false;
  const auto in_its_place = [this](const Instance& one) { return one.side() != live_->side(); };
  return instance_that(in_its_place) == nullptr;
}

void Service::want_spare() {
  if (spare_timer_ || !may_have_spare()) return;
  os::Milliseconds delay = spare_backoff_.next(around_.random());
  // Who came to the side of one that crashed, in the moment before users were steered away, waits for it.
  if (sockets_.waiting(opposite(live_->side())) > 0) delay = std::min(delay, kWithSomebodyWaiting);
  // Never at once: whoever calls is in the middle of something.
  spare_timer_ = around_.timers.after(delay, [this] { start_spare(); });
}

void Service::start_spare() {
  spare_timer_.reset();
  if (!may_have_spare()) return;
  Result<std::unique_ptr<Instance>> launched = launch(deployment_, Role::standby);
  if (!launched) {
    log("no standby: " + one_line(launched.error()));
    return want_spare();
  }
  spare_ = std::move(*launched);
  spare_has_users_ = sockets_.waiting(spare_->side()) > 0;
  spare_->begin();
}

void Service::drop_spare(std::function<void()> gone) {
  spare_timer_.reset();
  if (spare_) return retire(std::move(spare_), std::move(gone), /*at_once=*/!spare_has_users_);
  if (gone) gone();
}

void Service::spare_ended(const os::Exit& exit) {
  log(fmt::format("pid {}, the standby, ended: {}", spare_->pid(), exit.to_string()));
  spare_timer_.reset();
  forget(std::move(spare_));
}

// It is live from now on, in place of one that has ended or is ill. False: there is none. One that still
// boots is the next start, begun early.
bool Service::take_spare() {
  if (!spare_ || !may_start()) return false;
  const bool serves = spare_->phase() == Instance::Phase::starting || spare_->phase() == Instance::Phase::up;
  if (!serves) {
    drop_spare(nullptr);
    return false;
  }
  steer(spare_->side());
  std::unique_ptr<Instance> sick = std::exchange(live_, std::move(spare_));
  if (sick) retire(std::move(sick), nullptr);
  spare_timer_.reset();
  stable_timer_.reset();
  withdraw_next();  // it is for the other side
  announce_next();
  ++restarts_;
  log(fmt::format("pid {}, the standby, takes over", live_->pid()));
  record_later([this]() -> Status {
    record_hand_over(0);
    return {};
  });
  if (!live_is_up()) {
    start_failed(/*was_ready=*/true);
    return true;
  }
  live_is_well();
  return true;
}

// After a restart of the conductor, when all that still runs was adopted. The live one may have died with it.
void Service::recover_spare() {
  if (!spare_) return;
  if (!live_ && wanted_ && spare_->deployment().is(deployment_) && !incoming_ && take_spare()) return;
  const bool fits = live_ && !incoming_ && !resting_ && spare_->side() != live_->side() &&
                    spare_->deployment().is(deployment_) && can_steer();
  if (!fits) drop_spare(nullptr);
}

std::string Service::standby_state() const {
  if (!deployment_.spec.standby || !wanted_) return "";
  if (spare_) return spare_->phase() == Instance::Phase::up ? "ready" : "starting";
  return live_ && !can_steer() ? "impossible" : "waiting";
}

}  // namespace sb::supervise
