#include "activation/meter.h"

#include <algorithm>

namespace sb::activation {
namespace {

constexpr os::Milliseconds kOften{5};
constexpr os::Milliseconds kNowAndThen{250};
constexpr os::Milliseconds kMoving{3'000};

}  // namespace

void Meter::start(const std::vector<supervise::ServiceSpec>& services) {
  for (const supervise::ServiceSpec& spec : services) {
    const std::optional<supervise::ProbeSpec> question = question_for(spec);
    const supervise::Service* service = supervisor_.find(spec.name);
    if (!question || service == nullptr || !service->live_is_up()) continue;
    const auto as_a_user = [this, name = spec.name, probe = *question]() -> std::optional<Question> {
      const supervise::Service* one = supervisor_.find(name);
      if (one == nullptr || !one->live_runs()) return std::nullopt;
      return Question{.probe = probe,
                      .sockets = one->addresses_of(supervise::Service::Reached::by_users),
                      .directory = one->deployment().directory};
    };
    questioners_.push_back(std::make_unique<Questioner>(
        timers_, probe_, kOften, as_a_user,
        [this, name = spec.name](const supervise::Timed& answer) { heard(name, answer); }));
  }
  ask_often_for_now();
}

void Meter::something_moves() {
  moved_ = true;
  ask_often_for_now();
}

void Meter::ask_often_for_now() {
  const auto set_pace = [this](bool often) {
    often_ = often;
    for (const auto& one : questioners_) one->set_pace(often ? kOften : kNowAndThen);
  };
  set_pace(true);
  calm_ = timers_.after(kMoving, [set_pace] { set_pace(false); });
}

void Meter::heard(const std::string& service, const supervise::Timed& answer) {
  Tally& tally = moved_ ? receipt_.during : receipt_.before;
  tally.count(answer);
  if (!answer.status) return;
  const os::Milliseconds now = timers_.clock().monotonic();
  const auto [last, first] = last_good_.try_emplace(service, now);
  if (!first) {
    // The time in which nobody asked is no gap.
    const os::Milliseconds gap = now - last->second - (often_ ? os::Milliseconds(0) : kNowAndThen);
    receipt_.longest_gap_ms = std::max<std::int64_t>(receipt_.longest_gap_ms, gap.count());
  }
  last->second = now;
}

}  // namespace sb::activation
