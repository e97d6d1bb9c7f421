#include "activation/activator.h"

#include <algorithm>
#include <ranges>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::activation {
namespace {

namespace fs = std::filesystem;

// "versions/v3" → 3; 0 for anything else.
int version_of(const std::string& pointer) {
  return history::parse_version(fs::path(pointer).filename().string()).value_or(0);
}

std::optional<SwapPlan> last_plan(std::int64_t cycle, const std::vector<history::JournalRecord>& journal) {
  for (const history::JournalRecord& record : std::views::reverse(journal)) {
    if (record.step != history::Step::swapping) continue;
    const Result<Json> detail = parse_json(record.detail);
    if (!detail) return std::nullopt;
    Result<SwapPlan> plan = plan_from_json(cycle, *detail);
    if (plan) return std::move(*plan);
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string Activator::pointer_of(const std::string& project) const {
  const Result<fs::path> target = os::read_link(around_.home.pointer(project));
  return target ? target->string() : "";
}

Status Activator::check_free() const {
  if (!running_) return {};
  const SwapPlan& plan = running_->plan();
  return fail(
      ErrorKind::conflict,
      fmt::format("{} is being put into service: cycle {} of {}", history::version_name(plan.to.version),
                  history::cycle_name(plan.to.cycle), plan.to.project),
      "selfbuild status");
}

Status Activator::check_pins(const std::string& project, const std::string& triggered_by) {
  using Kind = supervise::Pin::Kind;
  for (const supervise::Service* service : around_.supervisor.of_project(project)) {
    const supervise::Pin& pin = service->pin();
    if (pin.kind == Kind::none || (pin.kind == Kind::frozen && triggered_by != "nightly")) continue;
    const std::string& name = service->deployment().spec.name;
    return fail(ErrorKind::refused,
                fmt::format("service {} is {} at {}: {}", name, to_string(pin.kind),
                            history::version_name(service->deployment().version), pin.reason),
                fmt::format("selfbuild unpin {} --project {}", name, project));
  }
  return {};
}

Status Activator::check(const Request& request, const std::string& triggered_by) {
  SB_CHECK(check_pins(request.project, triggered_by));
  SB_CHECK(check_free());
  SB_CHECK(plan(request));
  return {};
}

Status Activator::begin(const Request& request) {
  SB_TRY(const history::Cycle cycle, around_.history.cycle(request.cycle));
  SB_TRY(const std::vector<history::JournalRecord> journal, around_.history.journal(request.cycle));
  const bool begun = std::ranges::any_of(
      journal, [](const history::JournalRecord& one) { return one.step == history::Step::swapping; });
  if (begun) return {};
  SB_CHECK(check_free());
  const history::Step last = journal.empty() ? history::Step::planned : journal.back().step;
  if (last == history::Step::done || last == history::Step::rejected || last == history::Step::failed) {
    return fail(ErrorKind::conflict, fmt::format("cycle {} has ended", history::cycle_name(request.cycle)),
                "selfbuild history");
  }
  SB_CHECK(check_pins(request.project, cycle.triggered_by));
  SB_TRY(SwapPlan plan, this->plan(request));
  run(std::move(plan), cycle.kind);
  const Status recorded = running_->begin();
  if (!recorded) running_.reset();
  return recorded;
}

Result<SwapPlan> Activator::plan(const Request& request) {
  std::error_code code;
  if (!fs::is_directory(request.directory, code)) {
    return fail(ErrorKind::not_found,
                fmt::format("{} of {} has no folder {}", history::version_name(request.version),
                            request.project, request.directory.string()));
  }
  if (request.version < 1) return fail(ErrorKind::usage, "only a version from v1 on can be put into service");
  SwapPlan plan;
  plan.to = request;
  plan.pointer_before = pointer_of(request.project);
  plan.from = version_of(plan.pointer_before);
  for (std::size_t i = 0; i < request.services.size(); ++i) {
    const std::string& name = request.services[i].name;
    for (std::size_t j = 0; j < i; ++j) {
      if (request.services[j].name == name) {
        return fail(ErrorKind::usage, fmt::format("two services are named \"{}\"", name));
      }
    }
    const supervise::Service* known = around_.supervisor.find(name);
    if (known == nullptr || known->deployment().project.empty() ||
        known->deployment().project == request.project) {
      continue;
    }
    return fail(ErrorKind::conflict,
                fmt::format("service \"{}\" belongs to project {}", name, known->deployment().project),
                "rename the service in selfbuild.yaml");
  }
  SB_CHECK(check_rollout(request));
  const auto add = [&plan](const supervise::Service& service) {
    if (plan.before_of(service.deployment().spec.name) != nullptr) return;
    plan.before.push_back({.deployment = service.deployment(), .wanted = service.wanted()});
  };
  for (const supervise::ServiceSpec& spec : request.services) {
    if (const supervise::Service* known = around_.supervisor.find(spec.name)) add(*known);
  }
  for (const supervise::Service* service : around_.supervisor.of_project(request.project)) {
    // One that no version brought along (the command line's own worker) does not go when a version lacks it.
    if (service->deployment().version != 0) add(*service);
  }
  return plan;
}

Status Activator::check_rollout(const Request& request) const {
  if (!request.rollout.needs_steering()) return {};
  bool one = false;
  for (const supervise::ServiceSpec& spec : request.services) {
    if (spec.swap != supervise::SwapMode::overlap) continue;
    const supervise::Service* known = around_.supervisor.find(spec.name);
    if (known != nullptr && known->can_steer()) one = true;
  }
  if (one || pointer_of(request.project).empty()) return {};
  return fail(ErrorKind::conflict,
              fmt::format("no service of {} can be steered, so there is no canary and no bake: that takes "
                          "overlap and sockets on 127.0.0.1 or 0.0.0.0",
                          request.project),
              fmt::format("selfbuild promote {}", history::version_name(request.version)));
}

Result<ActivationCycle*> Activator::in_progress() {
  if (running_) return running_.get();
  return fail(ErrorKind::not_found, "nothing is being put into service", "selfbuild status");
}

void Activator::run(SwapPlan plan, history::CycleKind kind) {
  const std::int64_t cycle = plan.to.cycle;
  running_ = std::make_unique<ActivationCycle>(
      around_, std::move(plan), kind, [this, cycle](const Outcome& outcome) { ended(cycle, outcome); });
}

void Activator::ended(std::int64_t cycle, const Outcome& outcome) {
  running_.reset();
  const auto [first, last] = waiting_.equal_range(cycle);
  std::vector<Waiter> waiters;
  for (auto one = first; one != last; ++one) waiters.push_back(std::move(one->second));
  waiting_.erase(first, last);
  for (const Waiter& waiter : waiters) waiter(outcome);
}

void Activator::wait(std::int64_t cycle, Waiter waiter) {
  if (running_ && running_->plan().to.cycle == cycle) {
    waiting_.emplace(cycle, std::move(waiter));
    return;
  }
  const Result<std::vector<history::JournalRecord>> journal = around_.history.journal(cycle);
  if (!journal) return waiter(fail(journal.error()));
  for (const history::JournalRecord& record : std::views::reverse(*journal)) {
    const history::Step step = record.step;
    if (step != history::Step::kept && step != history::Step::rolled_back && step != history::Step::failed)
      continue;
    const Json detail = parse_json(record.detail).value_or(Json::object());
    return waiter(Outcome{.outcome = std::string(history::to_string(step)),
                          .cause = json_string_or(detail, "cause", "").value_or("")});
  }
  waiter(fail(ErrorKind::not_found,
              fmt::format("cycle {} was never put into service", history::cycle_name(cycle)),
              "selfbuild history"));
}

Observed Activator::observe(const SwapPlan& plan) const {
  Observed observed;
  const std::string pointer = pointer_of(plan.to.project);
  observed.pointer = pointer == plan.pointer_after()  ? Observed::Pointer::after
                     : pointer == plan.pointer_before ? Observed::Pointer::before
                                                      : Observed::Pointer::elsewhere;
  observed.same = plan.pointer_before == plan.pointer_after();
  for (const supervise::Deployment& next : plan.deployments()) {
    const supervise::Service* service = around_.supervisor.find(next.spec.name);
    if (service != nullptr && service->is_paused(next)) {
      observed.paused = true;
      continue;
    }
    const bool runs = service != nullptr && (service->live_is(next) || service->incoming_is(next));
    if (!runs) observed.new_runs = false;
  }
  observed.now_ms = around_.timers.clock().unix_ms();
  observed.probation_ms = plan.probation().count();
  observed.bake_ms = plan.to.rollout.bake.count();
  for (const SwapPlan::Before& old : plan.before) {
    const supervise::Service* service = around_.supervisor.find(old.deployment.spec.name);
    if (service != nullptr && service->has_resting()) observed.old_rests = true;
  }
  return observed;
}

Status Activator::recover() {
  SB_TRY(const std::vector<history::Cycle> open, around_.history.unfinished());
  for (const history::Cycle& cycle : open) {
    // One damaged cycle must not keep the conductor, and with it every service, from starting.
    const Status taken = doing("taking up cycle " + history::cycle_name(cycle.id), take_up(cycle));
    if (!taken) around_.log(one_line(taken.error()));
  }
  return {};
}

Status Activator::take_up(const history::Cycle& cycle) {
  SB_TRY(const std::vector<history::JournalRecord> records, around_.history.journal(cycle.id));
  const JournalState journal = read_journal(cycle.kind, records);
  std::optional<SwapPlan> plan = last_plan(cycle.id, records);
  const Step step = next_step(journal, plan ? observe(*plan) : Observed{});
  switch (step.kind) {
    case Step::Kind::nothing:
      return {};
    case Step::Kind::close:
      return close(cycle.id, *journal.last);
    default:
      break;
  }
  if (!plan) return fail_unbegun(cycle.id, step.cause);
  // Its turn was at an earlier start, which could not read it; to go on or back now would undo what came
  // after.
  SB_TRY(const std::optional<std::int64_t> later, overtaken_by(cycle));
  if (later) {
    return fail_unbegun(cycle.id,
                        fmt::format("cycle {} went into service meanwhile", history::cycle_name(*later)));
  }
  if (running_) return fail(ErrorKind::bug, "two cycles were being swapped at once");
  run(std::move(*plan), cycle.kind);
  running_->resume(step, journal);
  return {};
}

Result<std::optional<std::int64_t>> Activator::overtaken_by(const history::Cycle& cycle) {
  SB_TRY(const std::vector<history::Cycle> all, around_.history.cycles(cycle.project));
  for (const history::Cycle& one : all) {  // newest first
    if (one.id <= cycle.id) break;
    SB_TRY(const std::vector<history::JournalRecord> records, around_.history.journal(one.id));
    if (std::ranges::find(records, history::Step::swapping, &history::JournalRecord::step) != records.end()) {
      return one.id;
    }
  }
  return std::nullopt;
}

Status Activator::close(std::int64_t cycle, history::Step outcome) {
  const Json detail{{"outcome", history::to_string(outcome)}, {"kept", outcome == history::Step::kept}};
  const Result<std::int64_t> closed =
      around_.history.append(cycle, history::Step::done, dump_json(detail), {}, 0);
  return closed ? Status() : fail(closed.error());
}

Status Activator::fail_unbegun(std::int64_t cycle, const std::string& cause) {
  const Json detail{{"kind", to_string(ErrorKind::interrupted)}, {"what", cause}, {"cause", cause}};
  SB_CHECK(around_.history.append(
      cycle, history::Step::failed, dump_json(detail),
      {.status = history::BuildStatus::failed, .failure = cause, .completed = true}, 0));
  return close(cycle, history::Step::failed);
}

}  // namespace sb::activation
