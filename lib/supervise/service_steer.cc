// Which instance of a service gets the new connections: canary, the switch itself, and the way back by the
// same call.
#include <utility>

#include <fmt/format.h>

#include "supervise/service.h"

namespace sb::supervise {
namespace {

constexpr os::Milliseconds kLookAgain{10};
// A connection belongs to the listener that got its SYN, and can be accepted only after another round trip.
constexpr os::Milliseconds kHandshake{25};            // on this host
constexpr os::Milliseconds kDistantHandshake{1'000};  // with one retransmission

}  // namespace

bool Service::can_steer() const {
  return deployment_.spec.swap == SwapMode::overlap && sockets_.can_steer(deployment_.spec);
}

// Who comes up beside one that runs gets sockets of its own; else it gets what waits.
Side Service::side_for(const Deployment& deployment, Role role) const {
  const bool second = role == Role::incoming || role == Role::standby;
  const bool beside = second && live_ && deployment.spec.swap == SwapMode::overlap &&
                      deployment_.spec.swap == SwapMode::overlap;
  return beside ? opposite(live_->side()) : side_;
}

void Service::steer(Side side, int percent_to_other) {
  side_ = side;
  steered_at_ = around_.timers.clock().monotonic();
  note(sockets_.steer(side, percent_to_other));
}

bool Service::incoming_is_apart() const {
  return incoming_ && incoming_->side() != side_ && sockets_.can_steer(incoming_->deployment().spec);
}

Status Service::steer_to_incoming(int percent) {
  if (!incoming_is_apart()) {
    return fail(ErrorKind::conflict, fmt::format("service {} has nothing to steer to", name()));
  }
  exposed_ = true;
  steered_at_ = around_.timers.clock().monotonic();
  return sockets_.steer(side_, percent);
}

// Who has them is told to end now, and who still waits there is a user.
void Service::take_sockets_for_incoming() {
  if (!incoming_is_apart()) return;
  const Side side = incoming_->side();
  for (Leaving& one : leaving_) {
    if (one.instance->side() != side || !one.accepts) continue;
    one.accepts.reset();
    one.instance->drain();
  }
  exposed_ = sockets_.waiting(side) > 0;
}

void Service::take_users_from_incoming() {
  if (std::exchange(exposed_, false)) steer(side_);
}

bool Service::rests(const Deployment& deployment) const {
  if (!resting_) return false;
  // One that was adopted is asked again first, but it was well.
  const bool adopted = resting_->phase() == Instance::Phase::starting && resting_->was_ready();
  return (adopted || resting_->phase() == Instance::Phase::up) &&
         resting_->deployment().version == deployment.version &&
         resting_->deployment().directory == deployment.directory;
}

void Service::take_back() {
  steer(resting_->side());  // first: whoever connects now is well served already
  std::unique_ptr<Instance> sick = std::exchange(live_, std::move(resting_));
  another_is_live();
  unwatch();
  record_hand_over(sick ? sick->id() : 0);
  settle({});
  if (sick) return retire(std::move(sick), nullptr);
  reset_forsaken(opposite(side_));
  want_spare();
}

void Service::release(std::function<void()> drained) {
  if (resting_) return retire(std::move(resting_), std::move(drained));
  drained();
}

void Service::drain_when_accepted(std::int64_t id, os::Milliseconds until) {
  for (Leaving& one : leaving_) {
    if (one.instance->id() != id) continue;
    const os::Milliseconds now = around_.timers.clock().monotonic();
    const bool settled = now >= steered_at_ + (sockets_.reach_far() ? kDistantHandshake : kHandshake);
    const bool accepted = settled && sockets_.waiting(one.instance->side()) == 0;
    // Who speaks sd_notify is believed to end what it has begun; others may just die at SIGTERM.
    const bool says_ready = one.instance->deployment().spec.ready.kind == ProbeSpec::Kind::notify;
    const bool answered = says_ready || (accepted && one.instance->unanswered() == 0);
    if ((accepted && answered) || now >= until) {
      one.accepts.reset();
      return one.instance->drain();
    }
    one.accepts = around_.timers.after(kLookAgain, [this, id, until] { drain_when_accepted(id, until); });
    return;
  }
}

// What waits on a side that nobody has can only be told so.
void Service::reset_forsaken(Side side) {
  if (side == side_) return;
  const auto has_it = [side](const Instance& one) { return one.side() == side; };
  if (instance_that(has_it) != nullptr) return;
  const int count = sockets_.reset(side);
  if (count > 0) log(fmt::format("{} connections that nobody could accept any more were reset", count));
}

std::vector<BoundAddress> Service::addresses_of(Reached which) const {
  const Instance* const one = which == Reached::incoming ? incoming_.get() : live_.get();
  if (one == nullptr) return {};
  std::vector<BoundAddress> addresses = one->sockets();
  if (which == Reached::by_users) {
    for (BoundAddress& address : addresses) address.source.clear();
  }
  return addresses;
}

void Service::set_pin(Pin pin) {
  pin_ = std::move(pin);
  record();
}

}  // namespace sb::supervise
