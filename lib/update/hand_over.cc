// The end of an update: hand the version over to the conductor, wait for its verdict, close the cycle. What
// comes before is in update_cycle.cc.
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "build/builder.h"
#include "rpc/wire_error.h"
#include "update/cache_upkeep.h"
#include "update/next_action.h"
#include "update/update_cycle.h"

namespace sb::update {

using history::BuildStatus;
using history::Step;

Status UpdateCycle::hand_over(const history::Version& version) {
  SB_TRY(Json services, doing("reading the services of " + history::version_name(version.number),
                              parse_json(version.services_json)));
  SB_TRY(const history::Cycle row, history_.cycle(cycle_));
  SB_TRY(const Request request, request_from_json(row.improvement_plan));
  SB_TRY(Json rollout, parse_json(request.rollout));
  const Json params{{"cycle", cycle_},
                    {"project", version.project},
                    {"version", version.number},
                    {"directory", home_.version(version.project, version.number).string()},
                    {"services", std::move(services)},
                    {"rollout", std::move(rollout)}};
  bool asked_while_free = false;
  while (true) {
    Result<Json> begun =
        doing("handing the candidate to the conductor", conductor_.call("activation.begin", params));
    if (begun) return {};
    Error error = of_conductor(std::move(begun.error()));
    if (error.kind != ErrorKind::conflict) return fail(std::move(error));
    SB_TRY(const std::int64_t other, activation_in_progress());
    // Once more when none is in progress: it may have ended just now. Else the conflict is about this change.
    if (other == 0 && std::exchange(asked_while_free, true)) return fail(std::move(error));
    if (other != 0) SB_CHECK(wait_for_other(other));
  }
}

// The cycle that the conductor is swapping now; 0 without one.
Result<std::int64_t> UpdateCycle::activation_in_progress() {
  const Result<Json> status = conductor_.call("conductor.status", Json::object());
  if (!status) return fail(of_conductor(status.error()));
  const Json activation = status->value("activation", Json());
  if (!activation.is_object()) return 0;
  return json_integer(activation, "cycle");
}

Status UpdateCycle::wait_for_other(std::int64_t other) {
  log_.say(fmt::format("waiting until {} has been put into service", history::cycle_name(other)));
  const Result<Json> ended = conductor_.call("activation.wait", {{"cycle", other}});
  // How it ended is its own affair. A conductor that has gone is not.
  if (ended) return {};
  Error error = of_conductor(ended.error());
  if (error.kind == ErrorKind::interrupted) return fail(std::move(error));
  return {};
}

// That the conductor has gone is no verdict: whoever takes this cycle up next hands over.
Error UpdateCycle::of_conductor(Error error) {
  if (error.kind == ErrorKind::environment && !conductor_.answers()) error.kind = ErrorKind::interrupted;
  return error;
}

Status UpdateCycle::await_activation() {
  SB_TRY(const auto last, history_.last_record(cycle_));
  if (!last || next_action(last->step) != Action::await_activation) return {};
  SB_CHECK(
      doing("waiting for the conductor's verdict", conductor_.call("activation.wait", {{"cycle", cycle_}})));
  return {};
}

// A conductor that is away comes back, and takes up its swap. One that answers, but knows nothing of it, must
// not hold up the queue for ever.
Status UpdateCycle::close_forsaken(const Error& error) {
  const bool away = error.kind == ErrorKind::environment || error.kind == ErrorKind::interrupted;
  if (away || fence_ <= kMaxOwners) return fail(error);
  return record(Step::failed, rpc::error_to_json(error),
                {.status = BuildStatus::failed, .failure = one_line(error), .completed = true});
}

Result<bool> UpdateCycle::finish() {
  SB_TRY(const auto last, history_.last_record(cycle_));
  if (!last) return fail(ErrorKind::bug, fmt::format("{} has an empty journal", history::cycle_name(cycle_)));
  if (last->step != Step::done) {
    if (last->step == Step::failed) SB_CHECK(reject_what_never_came_up(*last));
    SB_CHECK(record(Step::done,
                    {{"outcome", history::to_string(last->step)}, {"kept", last->step == Step::kept}}));
    settle_cache(last->step == Step::kept);
    return last->step == Step::kept;
  }
  SB_TRY(const history::Cycle row, history_.cycle(cycle_));
  settle_cache(row.status == BuildStatus::completed);
  return row.status == BuildStatus::completed;
}

// Until here nobody else could use what this change's build made: its scripts may have lied about it.
void UpdateCycle::settle_cache(bool kept) {
  const Status settled = build::settle(home_.build_cache(), cycle_, kept);
  if (!settled)
    log_.say("the build cache keeps the results of this cycle apart: " + one_line(settled.error()));
  const Status pruned = prune_cache_daily(home_, history_, clock_.unix_ms());
  if (!pruned) log_.say("the build cache was not pruned: " + one_line(pruned.error()));
}

// A candidate that did not come up in service has its verdict. Where no service was to blame (a full disk, a
// conductor that died over and over) there is none, and the next update tries again; nor is a version that
// was good in service before judged by one start.
Status UpdateCycle::reject_what_never_came_up(const history::JournalRecord& failed) {
  SB_TRY(const Json detail, parse_json(failed.detail));
  SB_TRY(const std::string service, json_string_or(detail, "service", ""));
  SB_TRY(const history::Cycle row, history_.cycle(cycle_));
  if (service.empty() || !row.version) return {};
  SB_TRY(const history::Version version, history_.version(row.project, *row.version));
  if (version.state != history::VersionState::candidate) return {};
  SB_TRY(const std::string cause, json_string_or(detail, "cause", row.failure));
  return history_.set_version_state(row.project, version.number, history::VersionState::rejected, cause);
}

}  // namespace sb::update
