// What a version passes between its start and its probation, besides the switch itself: its files are those
// that were built; it answers on the users' own port before any of them reaches it; as a canary it does as
// well as the live one; and it bakes while that one rests. And how a person holds all that, or ends it.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "activation/activation_cycle.h"
#include "base/text.h"

namespace sb::activation {
namespace {

using supervise::Service;

constexpr int kProofs = 3;                   // good answers in a row
constexpr os::Milliseconds kCanaryPace{10};  // of each side
constexpr int kFewestToCompare = 20;         // answers of each side

}  // namespace

// -- before any user
// ------------------------------------------------------------------------------------------------------

void ActivationCycle::check_files() {
  const Result<history::Version> version = around_.history.version(plan_.to.project, plan_.to.version);
  const bool known = version && !version->outputs.empty();
  if (!known || !around_.check_version) return start_new(0);
  around_.check_version(
      *version, plan_.to.directory,
      [this, digest = version->digest, alive = std::weak_ptr<int>(alive_)](const Status& same) {
        if (alive.expired() || going_back_) return;
        if (!same) return give_up(same.error());
        meter_.receipt().digest = digest;
        start_new(0);
      });
}

// Whose users can be kept away until it has shown that it answers where they will ask.
void ActivationCycle::prove(std::size_t index) {
  if (going_back_) return;
  if (index == plan_.to.services.size()) return started();
  const supervise::ServiceSpec& spec = plan_.to.services[index];
  const Service* service = around_.supervisor.find(spec.name);
  const std::optional<supervise::ProbeSpec> question = question_for(spec);
  if (!question || !service->incoming_is_apart()) return prove(index + 1);
  auto good = std::make_shared<int>(0);
  asking_.push_back(questioner_of(
      spec, Service::Reached::incoming, [this, index, good, &spec](const supervise::Timed& answer) {
        if (!answer.status) {
          sick_service_ = spec.name;
          return give_up(Error(answer.status.error())
                             .doing(fmt::format("asking service {} on its real port", spec.name)));
        }
        if (++*good < kProofs) return;
        meter_.receipt().proofs.push_back(fmt::format("{}: {} of {} answers good", spec.name, *good, *good));
        later([this, index] {
          asking_.clear();
          prove(index + 1);
        });
      }));
}

std::unique_ptr<Questioner> ActivationCycle::questioner_of(const supervise::ServiceSpec& spec,
                                                           Service::Reached side, Questioner::Heard heard) {
  const auto what = [this, probe = *question_for(spec), name = spec.name, side]() -> std::optional<Question> {
    const Service* service = around_.supervisor.find(name);
    if (service == nullptr) return std::nullopt;
    Question question{.probe = probe, .sockets = service->addresses_of(side), .directory = {}};
    if (question.sockets.empty()) return std::nullopt;
    const bool is_new = side == Service::Reached::incoming;
    question.directory = is_new ? plan_.to.directory : service->deployment().directory;
    return question;
  };
  return std::make_unique<Questioner>(around_.timers, around_.probe, kCanaryPace, what, std::move(heard));
}

// -- canary
// ------------------------------------------------------------------------------------------------------

void ActivationCycle::canary(std::size_t step) {
  if (going_back_) return;
  if (step == plan_.to.rollout.canary.size() || plan_.from == 0) return point();
  const int percent = plan_.to.rollout.canary[step];
  const Status recorded =
      record(history::Step::canary,
             {{"step", step},
              {"percent", percent},
              {"ms", plan_.to.rollout.canary_step.count()},
              {"text", fmt::format("{}% of new connections to {}", percent, version_name())}});
  if (!recorded) return give_up(recorded.error());
  meter_.something_moves();
  sides_.clear();
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    Service* service = around_.supervisor.find(spec.name);
    if (!service->incoming_is_apart()) continue;  // it has no sockets, or nothing was there before
    if (const Status steered = service->steer_to_incoming(percent); !steered) return give_up(steered.error());
    compare(spec, percent);
  }
  if (sides_.empty()) {
    return give_up(make_error(ErrorKind::conflict, "no service of the live version can be steered",
                              "selfbuild promote " + version_name()));
  }
  timer_ = around_.timers.after(plan_.to.rollout.canary_step, [this, step] { canary_step_over(step); });
}

void ActivationCycle::compare(const supervise::ServiceSpec& spec, int percent) {
  const auto tally = std::make_shared<CanaryStep>(CanaryStep{.service = spec.name, .percent = percent});
  sides_.push_back(tally);
  if (!question_for(spec)) return;
  asking_.push_back(questioner_of(spec, Service::Reached::live,
                                  [tally](const supervise::Timed& answer) { tally->live.count(answer); }));
  asking_.push_back(
      questioner_of(spec, Service::Reached::incoming, [this, tally](const supervise::Timed& answer) {
        tally->fresh.count(answer);
        if (answer.status) return;
        // Not at the end of the step: every failure is one of some user, too.
        if (const std::string why = objection(tally->live, tally->fresh); !why.empty()) reject_canary(why);
      }));
  watch_canary();
}

// One that dies is not asked any more.
void ActivationCycle::watch_canary() {
  canary_watch_ = around_.timers.after(kCanaryPace, [this] {
    for (const std::shared_ptr<CanaryStep>& one : sides_) {
      const Service* service = around_.supervisor.find(one->service);
      const std::string trouble = service->incoming_is_starting() ? "" : service->incoming_trouble();
      if (trouble.empty()) continue;
      sick_service_ = one->service;
      return reject_canary(trouble);
    }
    watch_canary();
  });
}

void ActivationCycle::canary_step_over(std::size_t step) {
  for (const std::shared_ptr<CanaryStep>& one : sides_) {
    const bool asked = !asking_.empty();
    if (asked && (one->live.asked() < kFewestToCompare || one->fresh.asked() < kFewestToCompare)) {
      timer_ = around_.timers.after(kCanaryPace * 10, [this, step] { canary_step_over(step); });
      return;
    }
    if (const std::string why = objection(one->live, one->fresh); !why.empty()) return reject_canary(why);
  }
  go_on_when_resumed([this, step] {
    end_canary();
    canary(step + 1);
  });
}

void ActivationCycle::end_canary() {
  timer_.reset();
  canary_watch_.reset();
  asking_.clear();
  for (const std::shared_ptr<CanaryStep>& one : std::exchange(sides_, {})) {
    meter_.receipt().canary.push_back(*one);
  }
}

void ActivationCycle::reject_canary(const std::string& why) {
  later([this, why] {
    const int percent = sides_.empty() ? 0 : sides_.front()->percent;
    end_canary();
    give_up(make_error(ErrorKind::unhealthy, fmt::format("as a canary of {}%: {}", percent, why)));
  });
}

// -- bake
// --------------------------------------------------------------------------------------------------------

bool ActivationCycle::old_rests() const {
  return std::ranges::any_of(plan_.before, [&](const SwapPlan::Before& old) {
    const Service* service = around_.supervisor.find(old.deployment.spec.name);
    return service != nullptr && service->rests(old.deployment);
  });
}

void ActivationCycle::bake() {
  const std::int64_t until = bake_until_ms_ != 0 ? bake_until_ms_ : now_ms() + plan_.to.rollout.bake.count();
  note(record(history::Step::baking,
              {{"deadline_ms", until},
               {"bake_ms", plan_.to.rollout.bake.count()},
               {"text", fmt::format("{} rests for {}", history::version_name(plan_.from),
                                    human_duration(plan_.to.rollout.bake))}}));
  deadline_ms_ = until;
  timer_ = around_.timers.after(os::Milliseconds(std::max<std::int64_t>(0, until - now_ms())),
                                [this] { go_on_when_resumed([this] { let_old_go(); }); });
}

void ActivationCycle::let_old_go() {
  if (going_back_) return;
  baked_ = true;
  deadline_ms_ = 0;
  note(record(history::Step::committed,
              {{"text", fmt::format("{} is let go", history::version_name(plan_.from))}}));
  for (const SwapPlan::Before& old : plan_.before) {
    Service* service = around_.supervisor.find(old.deployment.spec.name);
    if (service != nullptr) service->release([] {});
  }
  verify();
}

// -- a person
// ----------------------------------------------------------------------------------------------------

Status ActivationCycle::pause(const std::string& by) {
  SB_CHECK(check_not_going_back());
  if (paused_) return {};
  SB_CHECK(note_person(history::Step::paused, by));
  paused_ = true;
  return {};
}

Status ActivationCycle::unpause(const std::string& by) {
  if (!paused_) return {};
  SB_CHECK(note_person(history::Step::resumed, by));
  paused_ = false;
  if (held_back_) later(std::exchange(held_back_, nullptr));
  return {};
}

Status ActivationCycle::abort(const std::string& by) {
  SB_CHECK(check_not_going_back());
  aborted_ = true;
  const std::string cause = "aborted by " + by;
  later([this, cause] {
    if (pointed_) return roll_back("", cause);
    end_canary();
    give_up(make_error(ErrorKind::interrupted, cause));
  });
  return {};
}

Status ActivationCycle::check_not_going_back() const {
  if (!going_back_ && step_ != history::Step::kept && step_ != history::Step::done) return {};
  return fail(ErrorKind::conflict, fmt::format("{} is being decided on already", version_name()),
              "selfbuild explain " + history::cycle_name(plan_.to.cycle));
}

// Beside the journal's story: the step that the cycle is in stays what it is.
Status ActivationCycle::note_person(history::Step step, const std::string& by) {
  const history::Step in = step_;
  const Status recorded = record(step, {{"by", by}, {"text", "by " + by}});
  step_ = in;
  return recorded;
}

void ActivationCycle::go_on_when_resumed(std::function<void()> next) {
  if (!paused_) return next();
  held_back_ = std::move(next);
}

}  // namespace sb::activation
