#include "activation/comparison.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace sb::activation {
namespace {

using supervise::ProbeSpec;
using supervise::Service;
using supervise::ServiceSpec;

constexpr os::Milliseconds kPaceBefore{10};
constexpr os::Milliseconds kPaceAfter{50};
constexpr os::Milliseconds kPatience{5'000};  // with a version that does not answer, before it is replaced
constexpr int kEnough = 50;                   // answers of the one before
constexpr os::Milliseconds kWarmUp{1'000};    // of the new one, in which nobody judges it
constexpr os::Milliseconds kLook{250};
constexpr int kLooksInARow = 4;  // that have to say the same
constexpr int kFewestToJudge = 20;
constexpr int kWindow = 200;  // answers; then they are counted anew, so that what comes late is seen

// The same to both, or their answers say nothing of each other.
bool same_question(const ServiceSpec& one, const ServiceSpec& other) {
  const auto text = [](const ServiceSpec& spec) {
    const std::optional<ProbeSpec> question = question_for(spec);
    return question ? question->address + question->path : std::string();
  };
  return !text(one).empty() && text(one) == text(other);
}

}  // namespace

void Comparison::look_at_the_one_before(const std::vector<ServiceSpec>& services,
                                        std::function<void()> known) {
  for (const ServiceSpec& spec : services) {
    const Service* service = supervisor_.find(spec.name);
    if (!spec.compare.any() || service == nullptr || !service->live_is_up()) continue;
    auto side = std::make_unique<Side>();
    side->spec = spec;
    side->asks =
        (spec.compare.errors || spec.compare.latency) && same_question(spec, service->deployment().spec);
    side->seen.service = spec.name;
    ask(*side, side->seen.before, kPaceBefore);
    sides_.push_back(std::move(side));
  }
  known_ = std::move(known);
  wait_until_known(timers_.clock().monotonic() + kPatience);
}

void Comparison::wait_until_known(os::Milliseconds until) {
  bool enough = true;
  for (const std::unique_ptr<Side>& side : sides_) {
    if (side->spec.compare.memory) {
      const std::uint64_t now = supervisor_.find(side->spec.name)->resident_bytes();
      side->seen.memory_before = std::max(side->seen.memory_before, now);
    }
    enough = enough && (!side->asks || side->seen.before.asked() >= kEnough);
  }
  if (enough || timers_.clock().monotonic() >= until) {
    for (const std::unique_ptr<Side>& side : sides_) side->asking.reset();
    return std::exchange(known_, nullptr)();
  }
  timer_ = timers_.after(kLook, [this, until] { wait_until_known(until); });
}

void Comparison::look_at_the_new_one(
    std::function<void(const std::string& service, const std::string& why)> worse) {
  worse_ = std::move(worse);
  if (sides_.empty()) return;
  timer_ = timers_.after(kWarmUp, [this] {
    for (const std::unique_ptr<Side>& side : sides_) ask(*side, side->seen.after, kPaceAfter);
    look();
  });
}

void Comparison::ask(Side& side, Tally& tally, os::Milliseconds pace) {
  if (!side.asks) return;
  const auto live = [this, name = side.spec.name]() -> const Service* {
    const Service* service = supervisor_.find(name);
    return service != nullptr && service->live_is_up() ? service : nullptr;
  };
  const auto as_a_user = [live, probe = *question_for(side.spec)]() -> std::optional<Question> {
    const Service* service = live();
    if (service == nullptr) return std::nullopt;
    return Question{.probe = probe,
                    .sockets = service->addresses_of(Service::Reached::by_users),
                    .directory = service->deployment().directory};
  };
  side.asking = std::make_unique<Questioner>(timers_, probe_, pace, as_a_user,
                                             [live, &tally](const supervise::Timed& answer) {
                                               // One that crashed is judged for that, by others.
                                               if (live() == nullptr) return;
                                               if (tally.asked() >= kWindow) tally = {};
                                               tally.count(answer);
                                             });
}

std::string Comparison::objection_to(Side& side) const {
  const Service* service = supervisor_.find(side.spec.name);
  Compared& seen = side.seen;
  std::string why;
  if (side.spec.compare.memory && service != nullptr) {
    seen.memory_after = service->resident_bytes();
    why = memory_objection(seen);
  }
  constexpr std::string_view kOther = "version before";
  if (seen.before.asked() < kFewestToJudge || seen.after.asked() < kFewestToJudge) return why;
  if (why.empty() && side.spec.compare.errors) why = error_objection(seen.before, seen.after, kOther);
  if (why.empty() && side.spec.compare.latency) why = median_objection(seen.before, seen.after, kOther);
  return why;
}

void Comparison::look() {
  for (const std::unique_ptr<Side>& side : sides_) {
    const std::string why = objection_to(*side);
    side->objections = why.empty() ? 0 : side->objections + 1;
    if (side->objections < kLooksInARow) continue;
    stop();
    const auto worse = std::exchange(worse_, nullptr);
    return worse(side->spec.name, why);
  }
  timer_ = timers_.after(kLook, [this] { look(); });
}

void Comparison::stop() {
  timer_.reset();
  for (const std::unique_ptr<Side>& side : sides_) side->asking.reset();
}

std::vector<Compared> Comparison::result() const {
  std::vector<Compared> all;
  all.reserve(sides_.size());
  for (const std::unique_ptr<Side>& side : sides_) all.push_back(side->seen);
  return all;
}

}  // namespace sb::activation
