#include "update/update_cycle.h"

#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "build/builder.h"
#include "rpc/wire_error.h"
#include "supervise/service_spec.h"
#include "testrun/examiner.h"
#include "update/gc_lock.h"
#include "update/known_tree.h"
#include "update/next_action.h"
#include "update/version_folder.h"

namespace sb::update {
namespace {

using history::BuildStatus;
using history::Step;

// A rejection is the product working; a failure is the host, or us, not working. Both leave the live version
// alone.
bool is_rejection(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::not_found:
    case ErrorKind::conflict:
    case ErrorKind::refused:
    case ErrorKind::build_failed:
    case ErrorKind::test_failed:
    case ErrorKind::unhealthy:
      return true;
    default:
      return false;
  }
}

Json services_to_json(const std::vector<supervise::ServiceSpec>& services) {
  Json list = Json::array();
  for (const supervise::ServiceSpec& service : services) list.push_back(supervise::to_json(service));
  return list;
}

Error verdict_error(ErrorKind kind, const testrun::Verdict& verdict) {
  Error error = make_error(kind, verdict.reason);
  for (const testrun::FailedTest& failure : verdict.failures) {
    if (error.log.size() > 4000) break;  // a screen; the whole is in the log
    error.log += fmt::format("{}:\n{}\n", failure.name, failure.output);
  }
  return error;
}

constexpr os::Milliseconds kStagePause{200};
constexpr os::Milliseconds kStagePatience{3'600'000};

class Stopwatch {
 public:
  explicit Stopwatch(const os::Clock& clock) : clock_(clock), begin_(clock.monotonic()) {}
  [[nodiscard]] std::int64_t ms() const { return (clock_.monotonic() - begin_).count(); }

 private:
  const os::Clock& clock_;
  os::Milliseconds begin_;
};

}  // namespace

Error error_from_json(const Json& detail) {
  Error error = make_error(ErrorKind::refused, json_string_or(detail, "what", "").value_or(""));
  const std::string kind = json_string_or(detail, "kind", "").value_or("");
  for (const ErrorKind candidate :
       {ErrorKind::usage, ErrorKind::not_found, ErrorKind::conflict, ErrorKind::environment,
        ErrorKind::refused, ErrorKind::build_failed, ErrorKind::test_failed, ErrorKind::unhealthy,
        ErrorKind::corrupt, ErrorKind::interrupted, ErrorKind::bug}) {
    if (to_string(candidate) == kind) error.kind = candidate;
  }
  if (const auto lines = detail.find("while_doing"); lines != detail.end() && lines->is_array()) {
    for (const Json& line : *lines) {
      if (line.is_string()) error.while_doing.push_back(line.get<std::string>());
    }
  }
  error.expected = json_string_or(detail, "expected", "").value_or("");
  error.found = json_string_or(detail, "found", "").value_or("");
  error.log = json_string_or(detail, "log", "").value_or("");
  error.next = json_string_or(detail, "next", "").value_or("");
  return error;
}

UpdateCycle::UpdateCycle(const os::Home& home, history::History& history, ConductorLink& conductor,
                         const os::Clock& clock, std::int64_t cycle)
    : home_(home),
      history_(history),
      conductor_(conductor),
      clock_(clock),
      cycle_(cycle),
      store_(home.objects(), files_),
      log_(home, cycle, clock) {}

Result<bool> UpdateCycle::run(const std::stop_token& stop) {
  SB_TRY(fence_, history_.take_over(cycle_));
  SB_TRY(const auto last, history_.last_record(cycle_));
  const Action action = next_action(last ? std::optional(last->step) : std::nullopt);
  if (action == Action::nothing) return true;
  if (action == Action::run) {
    const Status proved = fence_ > kMaxOwners ? worn_out(last) : prove(stop);
    if (!proved) {
      if (proved.error().kind == ErrorKind::interrupted) return fail(proved.error());
      SB_CHECK(close_rejected(proved.error()));
    }
  }
  if (const Status awaited = await_activation(); !awaited) SB_CHECK(close_forsaken(awaited.error()));
  return finish();
}

// A change that takes every worker down with it must not be tried for ever.
Status UpdateCycle::worn_out(const std::optional<history::JournalRecord>& last) const {
  return fail(ErrorKind::unhealthy,
              fmt::format("{} workers ended one after the other while this cycle was at {}", kMaxOwners,
                          last ? history::to_string(last->step) : "its beginning"),
              "selfbuild log " + history::cycle_name(cycle_));
}

// The sentence of one update, up to the point where the conductor takes over.
Status UpdateCycle::prove(const std::stop_token& stop) {
  SB_TRY(Plan plan, plan());
  SB_CHECK(apply(plan));
  // What history answers with, and what is kept below, is not to go before the conductor has it.
  SB_TRY(const UniqueFd without_gc, keep_gc_away(home_));
  SB_TRY(const KnownTree known, look_up_tree(home_, history_, plan.project.name, plan.source.tree, cycle_));
  if (known.answer == KnownTree::Answer::live) return close_unneeded(*known.version);
  if (known.answer == KnownTree::Answer::refuse) return fail(refusal_of(*known.version));
  if (known.answer == KnownTree::Answer::swap_in) {
    const auto folder = lay_out(home_, store_, *known.version);
    if (folder) return take_from_history(*known.version);
    log_.say(fmt::format("{} is built again: {}", history::version_name(known.version->number),
                         one_line(folder.error())));  // a damaged store is no reason to refuse a good change
  }
  SB_TRY(const staging::Stage stage, stage(plan, stop));
  SB_TRY(history::Version version, build(plan, stage, stop));
  SB_CHECK(test(plan, stage, version, stop));
  SB_CHECK(keep(plan, stage, version));
  SB_CHECK(probe(plan, version, stop));
  return hand_over(version);
}

Result<UpdateCycle::Plan> UpdateCycle::plan() {
  SB_TRY(const history::Cycle row, history_.cycle(cycle_));
  SB_TRY(Request request, request_from_json(row.improvement_plan));
  SB_TRY(staging::Repository repository, staging::Repository::open(request.repository));
  SB_TRY(staging::Source base, repository.resolve(request.commit));
  std::optional<std::string> patch;
  if (request.patch) {
    SB_TRY(patch, doing("reading the patch of this cycle", store_.get_bytes(*request.patch)));
  }
  return Plan{.request = std::move(request),
              .patch = std::move(patch),
              .repository = std::move(repository),
              .base = std::move(base),
              .project = {},
              .source = {},
              .remote = {}};
}

Status UpdateCycle::apply(Plan& plan) {
  SB_CHECK(record(Step::staging, {{"commit", plan.base.commit}, {"patch", plan.request.patch_name}},
                  {.status = BuildStatus::building}));
  if (!plan.patch) {
    plan.source = plan.base;
    SB_CHECK(plan.repository.keep(plan.source, cycle_));
  } else {
    SB_TRY(plan.source, doing(fmt::format("applying {}", plan.request.patch_name),
                              plan.repository.apply_patch(plan.base, *plan.patch, cycle_)));
  }
  SB_TRY(const std::string manifest,
         plan.repository.read_blob(plan.source.tree, std::string(project::kFileName)));
  SB_TRY(plan.project, project::parse_project_file(manifest, std::string(project::kFileName)));
  if (plan.project.name != plan.request.project) {
    return fail(ErrorKind::refused,
                fmt::format("the change renames project {} to {}", plan.request.project, plan.project.name));
  }
  return choose_remote(plan);
}

// A patch must not send our password to a host of its choice, nor take results from there.
Status UpdateCycle::choose_remote(Plan& plan) {
  plan.remote = plan.project.build.cache;
  if (!plan.patch || plan.remote.url.empty()) return {};
  SB_TRY(const std::string manifest,
         plan.repository.read_blob(plan.base.tree, std::string(project::kFileName)));
  const auto before = project::parse_project_file(manifest, std::string(project::kFileName));
  if (before && before->build.cache == plan.remote) return {};
  plan.remote = {};
  log_.say("the remote cache is not used: the patch changes spec.build.cache");
  return {};
}

// What is live is not built, nor started again.
Status UpdateCycle::close_unneeded(const history::Version& live) {
  return record(Step::done, {{"outcome", "answered from history"}, {"version", live.number}, {"kept", true}},
                {.status = BuildStatus::completed,
                 .version = live.number,
                 .from_version = live.number,
                 .completed = true});
}

// A tree that was good in service (a commit that takes another one back, mostly): nothing is built twice, but
// it has to prove itself in service like any other.
Status UpdateCycle::take_from_history(const history::Version& version) {
  SB_CHECK(record(Step::built, {{"from_history", true}, {"version", version.number}},
                  {.version = version.number, .test_results = version.test_results}));
  return hand_over(version);
}

// Builds by hand may hold every stage. That is no verdict on this change: it waits until one is free.
Result<staging::Stage> UpdateCycle::free_stage(Plan& plan, const std::stop_token& stop) {
  staging::StagePool pool(home_.stages(plan.project.name), kSlots);
  const os::Milliseconds begin = clock_.monotonic();
  for (bool said = false;; said = true) {
    Result<staging::Stage> stage = pool.acquire(plan.repository, plan.source);
    if (stage || stage.error().kind != ErrorKind::conflict) return stage;
    if (stop.stop_requested()) return fail(ErrorKind::interrupted, "stopped while waiting for a stage");
    if (clock_.monotonic() - begin > kStagePatience) {
      stage.error().kind = ErrorKind::environment;
      return stage;
    }
    if (!said) log_.say("waiting: " + stage.error().what);
    std::this_thread::sleep_for(kStagePause);
  }
}

Result<staging::Stage> UpdateCycle::stage(Plan& plan, const std::stop_token& stop) {
  const Stopwatch watch(clock_);
  SB_TRY(staging::Stage stage, free_stage(plan, stop));
  for (const std::string& note : stage.moved().notes) log_.say(note);
  SB_CHECK(record(Step::staged,
                  {{"slot", stage.slot()},
                   {"path", stage.tree().string()},
                   {"tree", plan.source.tree},
                   {"written", stage.moved().written},
                   {"removed", stage.moved().removed},
                   {"recovered", stage.moved().recovered},
                   {"ms", watch.ms()}},
                  {.commit = plan.base.commit}));
  return stage;
}

Result<history::Version> UpdateCycle::build(const Plan& plan, const staging::Stage& stage,
                                            const std::stop_token& stop) {
  SB_CHECK(record(Step::building,
                  {{"preset", plan.project.build.preset}, {"targets", plan.project.build.targets}}));
  log_.heading("build");
  const build::BuildRequest request{.source = stage.tree(),
                                    .build = stage.build(),
                                    .preset = plan.project.build.preset,
                                    .options = plan.project.build.options,
                                    .targets = plan.project.build.targets,
                                    .jobs = plan.request.jobs,
                                    .envelope = plan.project.build.envelope,
                                    .log = log_.file(),
                                    .view = build::stage_view(stage.folder()),
                                    .cache = home_.build_cache(),
                                    .cache_owner = cycle_,
                                    .remote = plan.remote};
  SB_TRY(const build::BuildReport report,
         build::build(request, [&](const build::Progress& progress) { log_.progress(progress); }, stop));
  SB_CHECK(record(Step::built, {{"edges_run", report.edges_run},
                                {"edges_total", report.edges_total},
                                {"edges_cached", report.edges_cached},
                                {"edges_shareable", report.edges_shareable},
                                {"edges_own", report.edges_own},
                                {"saved_ms", report.saved.count()},
                                {"cache_ms", report.cache_time.count()},
                                {"cache_note", report.cache_note},
                                {"configured", report.configured},
                                {"configure_reason", report.configure_reason},
                                {"configure_ms", report.configure_time.count()},
                                {"ninja_ms", report.ninja_time.count()},
                                {"warnings", report.warnings.size()},
                                {"compiler", report.compiler},
                                {"limits", build::limits_line(report)}}));
  history::Version version;
  version.project = plan.project.name;
  version.services_json = dump_json(services_to_json(plan.project.services));
  version.commit = plan.base.commit;
  version.tree = plan.source.tree;
  version.patch_sha256 = plan.patch ? sha256_hex(*plan.patch) : "";
  version.compiler = report.compiler;
  version.options = report.options;
  version.cycle = cycle_;
  SB_TRY(const history::Cycle row, history_.cycle(cycle_));
  version.requested_by = row.triggered_by;
  return version;
}

Status UpdateCycle::test(const Plan& plan, const staging::Stage& stage, history::Version& version,
                         const std::stop_token& stop) {
  SB_CHECK(record(Step::testing, Json::object(), {.status = BuildStatus::testing}));
  log_.heading("test");
  const testrun::TestRequest request{.source = stage.tree(),
                                     .build = stage.build(),
                                     .command = plan.project.test.command,
                                     .ctest_arguments = plan.project.test.ctest,
                                     .envelope = plan.project.test.envelope,
                                     .log = log_.file(),
                                     .view = build::stage_view(stage.folder())};
  SB_TRY(const testrun::Verdict verdict, testrun::run_tests(request, {}, stop));
  version.test_results = verdict.summary();
  SB_CHECK(record(Step::tested,
                  {{"passed", verdict.passed},
                   {"tests", verdict.tests},
                   {"failed", verdict.failed},
                   {"summary", verdict.summary()},
                   {"ms", verdict.took.count()},
                   {"limits", sandbox::to_line(verdict.grant)}},
                  {.test_results = verdict.summary()}));
  if (!verdict.passed) return fail(verdict_error(ErrorKind::test_failed, verdict));
  return {};
}

Status UpdateCycle::keep(const Plan& plan, const staging::Stage& stage, history::Version& version) {
  const Stopwatch watch(clock_);
  SB_TRY(version.outputs, collect_outputs(store_, stage.build(), plan.project.build.outputs));
  version.digest = outputs_digest(version.outputs);
  SB_TRY(version.number, history_.add_version(version));
  // After a crash the cycle may already have a version: its number stays, and so do its bytes.
  SB_TRY(version, history_.version(version.project, version.number));
  SB_CHECK(lay_out(home_, store_, version));
  return record(Step::probing,
                {{"version", version.number}, {"digest", version.digest}, {"store_ms", watch.ms()}},
                {.version = version.number});
}

Status UpdateCycle::probe(const Plan& plan, const history::Version& version, const std::stop_token& stop) {
  const Stopwatch watch(clock_);
  Json limits = Json::array();
  Json cooperation = Json::array();
  for (const supervise::ServiceSpec& service : plan.project.services) {
    if (service.may_bind()) {
      log_.heading("no candidate run of " + service.name +
                   ": it may bind by itself, and answers on its real port first, before users reach it");
      cooperation.push_back(testrun::to_json(testrun::unseen(service)));
      continue;
    }
    log_.heading("candidate run of " + service.name);
    const testrun::ProbeRequest request{.service = service,
                                        .version = home_.version(version.project, version.number),
                                        .envelope = plan.project.candidate,
                                        .log = log_.file()};
    SB_TRY(const testrun::Verdict verdict, testrun::probe_candidate(request, {}, stop));
    limits.push_back(sandbox::to_line(verdict.grant));
    if (!verdict.passed) {
      SB_CHECK(history_.set_version_state(version.project, version.number, history::VersionState::rejected,
                                          verdict.reason));
      return fail(verdict_error(ErrorKind::unhealthy, verdict));
    }
    if (verdict.cooperation) {
      cooperation.push_back(testrun::to_json(*verdict.cooperation));
      log_.heading("a swap: it " + testrun::behaviour(*verdict.cooperation));
    }
  }
  return record(
      Step::probed,
      {{"services", limits.size()}, {"ms", watch.ms()}, {"limits", limits}, {"cooperation", cooperation}});
}

Status UpdateCycle::close_rejected(const Error& error) {
  // What the conductor has begun, the conductor ends: an error after the hand-over is not a verdict on the
  // change.
  SB_TRY(const auto last, history_.last_record(cycle_));
  if (last && next_action(last->step) != Action::run) return {};
  Json detail = rpc::error_to_json(error);
  detail["step"] = last ? history::to_string(last->step) : "planned";
  log_.heading(is_rejection(error.kind) ? "rejected" : "failed");
  return record(is_rejection(error.kind) ? Step::rejected : Step::failed, detail,
                {.status = BuildStatus::failed, .failure = one_line(error), .completed = true});
}

Status UpdateCycle::record(Step step, const Json& detail, const history::History::Change& change) {
  SB_CHECK(history_.append(cycle_, step, dump_json(detail), change, fence_));
  return {};
}

}  // namespace sb::update
