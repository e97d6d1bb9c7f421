// The way back: before the pointer moved (failed; the old version was live all the time), and after
// (rolled_back).
#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "activation/activation_cycle.h"
#include "base/text.h"

namespace sb::activation {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLogLines = 12;

Status set_pointer(os::FileSystem& files, const fs::path& pointer, const std::string& text) {
  if (!text.empty()) return files.point_durably(pointer, text);
  std::error_code code;
  fs::remove(pointer, code);
  if (code) return fail(errno_error(fmt::format("cannot remove {}", pointer.string()), code.value()));
  return {};
}

}  // namespace

void ActivationCycle::give_up(const Error& error) {
  if (std::exchange(going_back_, true)) return;
  comparison_.stop();
  timer_.reset();
  canary_watch_.reset();
  asking_.clear();
  cause_ = one_line(error);
  // A failed move may have moved it all the same (the rename went well, the fsync did not).
  const fs::path pointer = around_.home.pointer(plan_.to.project);
  const Result<fs::path> now = os::read_link(pointer);
  if (now && *now == plan_.pointer_after() && plan_.pointer_before != plan_.pointer_after()) {
    note(set_pointer(around_.files, pointer, plan_.pointer_before));
  }
  later([this, error] { put_old_back(0, "", error); });
}

void ActivationCycle::put_old_back(std::size_t index, std::string trouble, const Error& error) {
  if (index < plan_.to.services.size()) {
    const std::string name = plan_.to.services[index].name;
    supervise::Service* service = around_.supervisor.find(name);
    if (service == nullptr) return put_old_back(index + 1, std::move(trouble), error);
    if (plan_.before_of(name) == nullptr) {
      return service->drop_incoming([this, index, trouble, error, name] {
        around_.supervisor.remove(name);
        put_old_back(index + 1, trouble, error);
      });
    }
    return service->abandon([this, index, trouble, error](const Status& back) {
      put_old_back(index + 1, back ? trouble : one_line(back.error()), error);
    });
  }
  // Its words come first, since they are what a reader looks for; the conductor's own follow.
  Json detail =
      verdict(fmt::format("{} did not go into service: {}", version_name(), error.what), sick_service_);
  detail["while_doing"] = error.while_doing;
  detail["receipt"] = to_json(meter_.receipt());
  detail["expected"] = error.expected;
  detail["found"] = error.found;
  if (!trouble.empty()) detail["trouble"] = "the old version did not come up again: " + trouble;
  end({.step = history::Step::failed,
       .detail = std::move(detail),
       .change = {.status = history::BuildStatus::failed,
                  .health_check_result = cause_,
                  .failure = cause_,
                  .completed = true},
       .state = {},
       .outcome = {.outcome = "failed",
                   .cause = trouble.empty() ? cause_ : cause_ + "; and the old version: " + trouble}});
}

void ActivationCycle::roll_back(const std::string& service, const std::string& cause) {
  if (std::exchange(going_back_, true)) return;  // at most one, whatever else turns ill
  comparison_.stop();
  meter_.receipt().compared = comparison_.result();
  cause_ = service.empty() ? cause : fmt::format("service {}: {}", service, cause);
  sick_service_ = service;
  timer_.reset();
  meter_.something_moves();
  const std::vector<int> ways = ways_back();
  if (ways.empty()) return stay_here(why_not_back());
  hold_sick();
  note(record(history::Step::rolling_back,
              {{"cause", cause_}, {"service", service}, {"to", plan_.from}, {"aborted", aborted_}}));
  later([this, ways] { take_way_back(ways, 0); });
}

// The version before, unless history calls it bad; then those that were good, newest first.
std::vector<int> ActivationCycle::ways_back() {
  if (aborted_ || plan_.from == 0) return {plan_.from};
  std::vector<int> ways;
  if (why_not_back().empty()) ways.push_back(plan_.from);
  const auto versions = around_.history.versions(plan_.to.project);
  if (!versions) return ways;
  for (const history::Version& version : *versions) {
    std::error_code code;
    const bool good = version.state == history::VersionState::known_good &&
                      version.number != plan_.to.version && version.number != plan_.from &&
                      fs::exists(around_.home.version(plan_.to.project, version.number), code);
    if (good) ways.push_back(version.number);
  }
  return ways;
}

// The first one whose files are still those that were proved; when none is, the first one all the same.
void ActivationCycle::take_way_back(const std::vector<int>& ways, std::size_t index) {
  if (index == ways.size()) return start_old(0);
  const int number = ways[index];
  const Result<history::Version> version = around_.history.version(plan_.to.project, number);
  const auto take = [this, number, version] {
    if (number != plan_.from) aim_at(*version);
    start_old(0);
  };
  const bool alive = number == plan_.from && old_rests();
  if (alive || !version || version->outputs.empty() || !around_.check_version) return take();
  around_.check_version(
      *version, around_.home.version(plan_.to.project, number),
      [this, ways, index, take, alive = std::weak_ptr<int>(alive_)](const Status& same) {
        if (alive.expired()) return;
        if (same) return take();
        around_.log(fmt::format("{} of {} is no way back: {}", history::version_name(ways[index]),
                                plan_.to.project, one_line(same.error())));
        take_way_back(ways, index + 1);
      });
}

// Another version than the one before is gone back to.
void ActivationCycle::aim_at(const history::Version& version) {
  const auto services = [&version]() -> Result<std::vector<supervise::ServiceSpec>> {
    SB_TRY(const Json list, parse_json(version.services_json));
    return supervise::services_from_json(list);
  }();
  if (!services) return note(fail(services.error()));
  SwapPlan::Befores before;
  for (const supervise::ServiceSpec& spec : *services) {
    before.push_back({.deployment = {.project = version.project,
                                     .version = version.number,
                                     .directory = around_.home.version(version.project, version.number),
                                     .spec = spec},
                      .wanted = true});
  }
  for (SwapPlan::Before& old : plan_.before) {
    const auto same = [&old](const SwapPlan::Before& one) {
      return one.deployment.spec.name == old.deployment.spec.name;
    };
    if (std::ranges::any_of(before, same)) continue;
    old.wanted = false;  // that version does not have it
    before.push_back(std::move(old));
  }
  cause_ += fmt::format("; back to {}, since {} is none to go back to", history::version_name(version.number),
                        history::version_name(plan_.from));
  plan_.before = std::move(before);
  plan_.from = version.number;
  plan_.pointer_before = pointer_text(version.number);
}

void ActivationCycle::hold_sick() {
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    supervise::Service* one = around_.supervisor.find(spec.name);
    if (one == nullptr) continue;
    one->unwatch();
    one->hold();
  }
}

void ActivationCycle::start_old(std::size_t index) {
  if (index == plan_.before.size()) return point_back();
  const SwapPlan::Before& old = plan_.before[index];
  const std::string& name = old.deployment.spec.name;
  const Result<supervise::Service*> found = around_.supervisor.ensure(old.deployment, /*wanted=*/false);
  if (!found) {
    old_trouble_ = one_line(found.error());
    return start_old(index + 1);
  }
  supervise::Service* service = *found;
  if (service->rests(old.deployment)) service->take_back();
  // Stopped, or back already. An adopted one has yet to show that it is well; if it does not, it is restarted
  // like any other.
  if (!old.wanted || service->live_is(old.deployment)) return start_old(index + 1);
  service->bring_up(old.deployment, [this, index, name](const Status& up) {
    if (!up) old_trouble_ = fmt::format("service {}: {}", name, one_line(up.error()));
    later([this, index] { start_old(index + 1); });
  });
}

void ActivationCycle::point_back() {
  const Status pointed =
      set_pointer(around_.files, around_.home.pointer(plan_.to.project), plan_.pointer_before);
  if (!pointed) old_trouble_ += (old_trouble_.empty() ? "" : "; ") + one_line(pointed.error());

  auto open = std::make_shared<std::size_t>(1);
  const auto one_less = [this, open] {
    if (--*open > 0) return;
    Json detail = verdict(fmt::format("{} was taken back: {}", version_name(), cause_), sick_service_);
    detail["receipt"] = to_json(meter_.receipt());
    if (!aborted_) freeze(fmt::format("{} was taken back: {}", version_name(), cause_));
    if (!old_trouble_.empty())
      detail["trouble"] = "the old version does not run well either: " + old_trouble_;
    const std::string whole =
        old_trouble_.empty() ? cause_ : fmt::format("{}; the old version: {}", cause_, old_trouble_);
    end({.step = history::Step::rolled_back,
         .detail = std::move(detail),
         .change = {.status = history::BuildStatus::rolled_back,
                    .health_check_result = cause_,
                    .rollback_reason = whole,
                    .completed = true},
         .state = aborted_ ? std::nullopt : std::optional(history::VersionState::rolled_back),
         .outcome = {.outcome = "rolled_back", .cause = whole}});
  };
  for (const SwapPlan::Before& old : plan_.before) {
    supervise::Service* service = around_.supervisor.find(old.deployment.spec.name);
    if (service == nullptr) continue;
    if (service->incoming_is(old.deployment) && service->incoming_trouble().empty()) {
      service->commit([] {});  // the sick one drains on its own time
    } else if (old.wanted && service->live_is(old.deployment)) {
      service->abandon([](const Status&) {});  // only lets go of it
    } else {
      service->settle_on(old.deployment, old.wanted);
    }
    service->release([] {});
    service->close_unused_sockets();
  }
  for (const supervise::ServiceSpec& spec : plan_.to.services) {
    supervise::Service* service = around_.supervisor.find(spec.name);
    if (service == nullptr || plan_.before_of(spec.name) != nullptr) continue;
    ++*open;
    service->stop([this, name = spec.name, one_less] {
      around_.supervisor.remove(name);
      one_less();
    });
  }
  one_less();
}

// A version that history calls bad is none to go back to by itself: the two would take turns.
std::string ActivationCycle::why_not_back() {
  if (aborted_ || plan_.from == 0) return {};
  const Result<history::Version> from = around_.history.version(plan_.to.project, plan_.from);
  if (!from || from->state == history::VersionState::known_good) return {};
  return fmt::format("{} is no version to go back to: it is {}{}", history::version_name(plan_.from),
                     history::to_string(from->state),
                     from->state_reason.empty() ? "" : fmt::format(" ({})", from->state_reason));
}

// The new version stays, restarted with back-off, until a person decides.
void ActivationCycle::stay_here(const std::string& why) {
  for (const supervise::Deployment& next : plan_.deployments()) {
    supervise::Service* service = around_.supervisor.find(next.spec.name);
    if (service != nullptr) service->settle_on(next, /*wanted=*/true);
  }
  freeze(fmt::format("{}; {}", cause_, why));
  Json detail = verdict(fmt::format("{} turned ill, and stays: {}", version_name(), cause_), sick_service_);
  detail["live"] = plan_.to.version;
  detail["trouble"] = why;
  detail["receipt"] = to_json(meter_.receipt());
  end({.step = history::Step::failed,
       .detail = std::move(detail),
       .change = {.status = history::BuildStatus::failed,
                  .health_check_result = cause_,
                  .failure = fmt::format("{}; {}", cause_, why),
                  .completed = true},
       .state = history::VersionState::rejected,
       .outcome = {.outcome = "failed", .cause = fmt::format("{}; {}", cause_, why)}});
}

// At most one way back by itself; after that only a person moves these services.
void ActivationCycle::freeze(const std::string& reason) {
  const auto one = [&](const std::string& name) {
    supervise::Service* service = around_.supervisor.find(name);
    if (service == nullptr || service->pin().kind == supervise::Pin::Kind::pinned) return;
    service->set_pin({.kind = supervise::Pin::Kind::frozen, .reason = reason});
  };
  for (const SwapPlan::Before& old : plan_.before) one(old.deployment.spec.name);
  for (const supervise::ServiceSpec& spec : plan_.to.services) one(spec.name);
}

Json ActivationCycle::verdict(const std::string& what, const std::string& service) const {
  std::string log;
  if (!service.empty()) {
    log = last_lines(os::read_file(around_.home.service(service) / "log").value_or(""), kLogLines);
  }
  return {{"kind", to_string(ErrorKind::unhealthy)},
          {"what", what},
          {"cause", cause_},
          {"service", service},
          {"log", log},
          {"live", plan_.from},
          {"next", "selfbuild explain " + history::cycle_name(plan_.to.cycle)}};
}

}  // namespace sb::activation
