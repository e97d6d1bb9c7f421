#include "activation/comparison.h"

#include <utility>

namespace sb::activation {
namespace {

using supervise::Service;
using supervise::ServiceSpec;

constexpr os::Milliseconds kPace{10};
constexpr os::Milliseconds kSample{250};
constexpr os::Milliseconds kPatience{5'000};  // with a version that does not answer, before it is replaced
constexpr int kEnough = 50;                   // answers of the one before
constexpr int kFewestToJudge = 20;            // of the new one
constexpr int kSamplesInARow = 3;

}  // namespace

void Comparison::look_at_the_one_before(const std::vector<ServiceSpec>& services,
                                        std::function<void()> known) {
  stop();
  sides_.clear();
  for (const ServiceSpec& spec : services) {
    const Service* service = supervisor_.find(spec.name);
    if (!spec.compare.any() || service == nullptr || !service->live_is_up()) continue;
    auto side = std::make_unique<Side>();
    side->spec = spec;
    side->seen.service = spec.name;
    side->seen.memory_before = service->resident_bytes();
    ask(*side, side->seen.before);
    sides_.push_back(std::move(side));
  }
  known_ = std::move(known);
  wait_until_known(timers_.clock().monotonic() + kPatience);
}

void Comparison::wait_until_known(os::Milliseconds until) {
  bool enough = true;
  for (const std::unique_ptr<Side>& side : sides_)
    enough = enough && (!side->asking || side->seen.before.asked() >= kEnough);
  if (enough || timers_.clock().monotonic() >= until) {
    for (const std::unique_ptr<Side>& side : sides_) side->asking.reset();
    return std::exchange(known_, nullptr)();
  }
  timer_ = timers_.after(kPace, [this, until] { wait_until_known(until); });
}

void Comparison::look_at_the_new_one(
    std::function<void(const std::string& service, const std::string& why)> worse) {
  worse_ = std::move(worse);
  for (const std::unique_ptr<Side>& side : sides_) ask(*side, side->seen.after);
  if (!sides_.empty()) watch();
}

void Comparison::ask(Side& side, Tally& tally) {
  if (!side.spec.compare.errors && !side.spec.compare.latency) return;
  const std::optional<supervise::ProbeSpec> question = question_for(side.spec);
  if (!question) return;
  const auto as_a_user = [this, name = side.spec.name, probe = *question]() -> std::optional<Question> {
    const Service* service = supervisor_.find(name);
    if (service == nullptr || !service->live_runs()) return std::nullopt;
    return Question{.probe = probe,
                    .sockets = service->addresses_of(Service::Reached::by_users),
                    .directory = service->deployment().directory};
  };
  side.asking = std::make_unique<Questioner>(
      timers_, probe_, kPace, as_a_user, [&tally](const supervise::Timed& answer) { tally.count(answer); });
}

void Comparison::watch() {
  for (const std::unique_ptr<Side>& side : sides_) {
    const Service* service = supervisor_.find(side->spec.name);
    Compared& seen = side->seen;
    if (service != nullptr) seen.memory_after = service->resident_bytes();
    side->over = memory_objection(seen).empty() ? 0 : side->over + 1;
    std::string why;
    if (side->spec.compare.memory && side->over >= kSamplesInARow) why = memory_objection(seen);
    if (seen.after.asked() >= kFewestToJudge) {
      if (why.empty() && side->spec.compare.errors)
        why = error_objection(seen.before, seen.after, "version before");
      if (why.empty() && side->spec.compare.latency)
        why = latency_objection(seen.before, seen.after, "version before");
    }
    if (why.empty()) continue;
    stop();
    const auto worse = std::exchange(worse_, nullptr);
    return worse(side->spec.name, why);
  }
  timer_ = timers_.after(kSample, [this] { watch(); });
}

void Comparison::stop() {
  timer_.reset();
  for (const std::unique_ptr<Side>& side : sides_) side->asking.reset();
}

std::vector<Compared> Comparison::result() const {
  std::vector<Compared> all;
  for (const std::unique_ptr<Side>& side : sides_) all.push_back(side->seen);
  return all;
}

}  // namespace sb::activation
