// What a service does for a swap: bring the next version up, then commit to it or go back.
#include <utility>

#include <fmt/format.h>

#include "supervise/service.h"

namespace sb::supervise {
namespace {

bool runs(const Instance& instance, const Deployment& deployment) {
  return instance.deployment().version == deployment.version &&
         instance.deployment().directory == deployment.directory;
}

}  // namespace

void Service::bring_up(const Deployment& next, Done up) {
  if (ending_) return;  // the conductor's next start takes the swap up again
  if (incoming_ || bring_up_done_) {
    return up(fail(ErrorKind::conflict, fmt::format("service {} is being swapped already", name())));
  }
  incoming_trouble_.clear();
  bring_up_done_ = std::move(up);
  const bool alone =
      next.spec.swap == SwapMode::drain_first || deployment_.spec.swap == SwapMode::drain_first;
  // The standby has the sockets that the next version is to have.
  if (!alone) return drop_spare([this, next] { start_incoming(next); });
  // Whatever is left of it must have gone before the new one starts: also an instance that drains since
  // earlier.
  hold();
  stable_timer_.reset();
  drop_spare(nullptr);
  if (live_) retire(std::move(live_), nullptr);
  when_all_have_left([this, next] { start_incoming(next); });
}

void Service::hold() {
  held_ = true;
  restart_timer_.reset();
}

void Service::start_incoming(const Deployment& next) {
  if (!bring_up_done_ || incoming_) return;  // given up while the old one drained
  Result<std::unique_ptr<Instance>> launched = launch(next, Role::incoming);
  if (!launched) {
    incoming_trouble_ = one_line(launched.error());
    return finish_bring_up(fail(std::move(launched.error())));
  }
  incoming_ = std::move(*launched);
  take_sockets_for_incoming();
  incoming_->begin();
}

void Service::finish_bring_up(Status status) {
  if (bring_up_done_) std::exchange(bring_up_done_, nullptr)(std::move(status));
}

std::string Service::incoming_trouble() const {
  if (!incoming_) return incoming_trouble_.empty() ? "it was not started" : incoming_trouble_;
  if (!incoming_trouble_.empty()) return incoming_trouble_;
  return incoming_->phase() == Instance::Phase::up ? "" : "it is not ready and healthy yet";
}

bool Service::incoming_is(const Deployment& next) const {
  return incoming_ && runs(*incoming_, next);
}

bool Service::is_paused(const Deployment& deployment) const {
  return paused_ && !live_ && deployment_.version == deployment.version &&
         deployment_.directory == deployment.directory;
}

bool Service::live_is(const Deployment& deployment) const {
  return live_ && runs(*live_, deployment);
}

void Service::another_is_live() {
  deployment_ = live_->deployment();
  wanted_ = true;
  paused_ = false;
  held_ = false;
  restarts_ = 0;
  crashes_ = 0;
  backoff_.reset();
  spare_backoff_.reset();
  restart_timer_.reset();
  trouble_text_.clear();
  answers_itself();
  withdraw_next();
  announce_next();
}

void Service::commit(std::function<void()> drained, Old what_of_old) {
  std::unique_ptr<Instance> old = std::exchange(live_, std::move(incoming_));
  exposed_ = false;
  steer(live_->side());  // before the record: a conductor that finds the old one live steers back to it
  another_is_live();
  // One that shares its sockets would go on accepting.
  const bool rests =
      old && what_of_old == Old::rests && !resting_ && can_steer() && old->side() != live_->side();
  record_hand_over(old ? old->id() : 0, rests ? Role::resting : Role::draining);
  if (rests) resting_ = std::move(old);
  if (!old) {
    live_is_well();
    return drained();
  }
  retire(std::move(old), std::move(drained));
  live_is_well();
}

void Service::drop_incoming(std::function<void()> gone) {
  bring_up_done_ = nullptr;
  if (!incoming_) return gone();
  const bool had_users = exposed_;
  take_users_from_incoming();
  retire(std::move(incoming_), std::move(gone), /*at_once=*/!had_users);
}

void Service::abandon(Done back) {
  drop_incoming([this, back = std::move(back)]() mutable {
    held_ = false;
    close_unused_sockets();
    want_spare();
    if (!wanted_) return back({});
    if (live_is_up()) return back({});
    if (!live_ && restart_timer_) {
      start_failed(/*was_ready=*/false);
      return back(fail(ErrorKind::unhealthy, "it waits for its next start: " + trouble_text_));
    }
    waiting_.push_back(std::move(back));
    if (!live_) when_all_have_left([this] { start_live(); });
  });
}

void Service::settle_on(const Deployment& deployment, bool wanted) {
  deployment_ = deployment;
  wanted_ = wanted;
  paused_ = ending_ && wanted;
  held_ = false;
  unwatch();
  withdraw_next();
  record_hand_over(live_ ? live_->id() : 0);
  drop_incoming([] {});
  release([] {});
  drop_spare(nullptr);
  if (live_) return retire(std::move(live_), [this] { schedule_restart(/*was_ready=*/true); });
  schedule_restart(/*was_ready=*/false);
}

void Service::close_unused_sockets() {
  if (incoming_ || bring_up_done_) return;
  const bool answered = std::exchange(answering_, false);
  // On no socket for a moment: it goes on, with the code that somebody may just be typing.
  if (answered) around_.safe_mode.begin(name(), {}, diagnosis());
  sockets_.keep_only(deployment_.spec);
  if (!answered) return;
  answer_in_its_place();
  if (!answering_) around_.safe_mode.end(name());
}

void Service::watch(std::function<void(const std::string& cause)> trouble) {
  trouble_ = std::move(trouble);
  crashes_ = 0;
  // It may have happened before anybody watched (an adopted instance, a long drain of the old one).
  if (live_ && (live_->phase() == Instance::Phase::starting || live_->phase() == Instance::Phase::up)) return;
  const std::string cause = live_ ? trouble_text_ : last_exit_.empty() ? "it does not run" : last_exit_;
  tell_trouble(cause);
}

}  // namespace sb::supervise
