#include "tool/conductor/conductor.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/text.h"
#include "history/crash_point.h"
#include "keeper/keeper.h"
#include "os/process.h"
#include "tool/conductor/http_front.h"
#include "tool/conductor/lost_services.h"
#include "tool/conductor/routes/routes.h"

namespace sb::tool {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLockPatience{2'000};
constexpr milliseconds kLogCheck{30'000};
constexpr milliseconds kCalm{50};          // after a start
constexpr milliseconds kLastWords{2'000};  // until the records of the last moment are on disk

constexpr const char* kPassed[] = {"XDG_STATE_HOME", "XDG_CACHE_HOME",  "XDG_CONFIG_HOME",
                                   "XDG_DATA_HOME",  "XDG_RUNTIME_DIR", "TMPDIR"};

// What a service needs to find the same home and the same conductor.
std::vector<std::string> passed_environment(const os::Home& home) {
  std::vector<std::string> environment{"SELFBUILD_SOCKET=" + home.conductor_socket().string()};
  if (!os::environment_variable("SELFBUILD_HOME").empty()) {
    environment.push_back("SELFBUILD_HOME=" +
                          home.state().parent_path().string());  // absolute, whatever it was
  }
  std::ranges::move(os::environment_of(kPassed), std::back_inserter(environment));
  std::ranges::move(os::environment_of(history::kCrashVariables), std::back_inserter(environment));
  return environment;
}

std::function<double()> random_numbers() {
  return [engine = std::minstd_rand(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

}  // namespace

void Conductor::log(const std::string& text) {
  fmt::print(stderr, "{} {}\n", iso_time(os::SystemClock().unix_ms()), text);
}

Result<std::unique_ptr<Conductor>> Conductor::start(const os::Home& home, keeper::KeeperLink& keeper) {
  std::unique_ptr<Conductor> conductor(new Conductor(home, keeper));
  const Status started = conductor->begin();
  if (started) return conductor;
  if (started.error().kind == ErrorKind::corrupt) suspect_database(home);
  return fail(started.error());
}

// Routes and services call back into the parts above them: the server goes first, the loop last.
Conductor::~Conductor() {
  http_.reset();
  server_.reset();
  backup_.reset();
  activator_.reset();
  supervisor_.reset();
}

void Conductor::say(const std::string& text) {
  log(text);
  if (state_events_) state_events_->said(text);
}

void Conductor::open_records() {
  events_.emplace(*loop_, [this](const audit::Event& event) { recorder_->record(event); });
  recorder_ = std::make_unique<audit::Recorder>(
      home_.audit_database(), started_ms_, log, [this](const Result<std::vector<audit::Event>>& before) {
        loop_->post([this, before] { events_->go_on_from(before); });
      });
  audit_trail_.emplace(*recorder_, clock_);
  state_events_.emplace(*loop_, *events_, [this]() -> Json {
    // Answered at once, since it writes nothing.
    const auto state = std::make_shared<Json>(Json::object());
    server_->call("conductor.status", Json::object(), rpc::Reply([state](const Result<Json>& status) {
                    *state = status.value_or(Json::object());
                  }));
    return *state;
  });
}

Status Conductor::begin() {
  SB_CHECK(open());
  SB_CHECK(doing("taking up what ran before", take_up()));
  return listen();
}

Status Conductor::open() {
  started_ms_ = clock_.unix_ms();
  SB_TRY(loop_, os::EventLoop::make());
  // Before any thread is started, so that all of them have the signals blocked.
  SB_TRY(terminate_, loop_->on_signal(SIGTERM, [this](int) { stop(false, [] {}); }));
  SB_TRY(interrupt_, loop_->on_signal(SIGINT, [this](int) { stop(false, [] {}); }));
  // From here on there is no conductor before this one; see hand_over.
  vault_.emplace(keeper_, log);
  SB_TRY(lock_, InstanceLock::take(home_.state() / "conductor.lock",
                                   keeper_.connected() ? kLockPatience : milliseconds(0)));
  // Otherwise there is no time for it: the first backup reads all of it.
  SB_TRY(const SoundDatabase sound,
         mend_database(home_, /*thoroughly=*/keeper_.boots() <= 1 || keeper_.deaths() > 1, started_ms_, log));
  mended_ = sound.is_another;
  SB_TRY(history_, history::History::open(home_.database(), clock_));
  sync_.emplace(home_.database(),
                [this](std::function<void()> callback) { loop_->post(std::move(callback)); });
  history_->database().leave_syncs_to(*sync_);
  files_.emplace(*sync_);
  SB_TRY(tasks_, bus::TaskQueue::open(history_->database()));
  leases_.emplace(*tasks_, *loop_, log);
  SB_TRY(table_, supervise::ServiceTable::open(history_->database()));
  if (mended_) SB_CHECK(find_lost_services(home_, *table_, *vault_, log));
  open_records();
  SB_TRY(http_, open_http(*loop_, home_, *vault_, log));
  const std::filesystem::path notify_socket = home_.state() / "notify.sock";
  SB_TRY(notifications_, NotifyListener::open(notify_socket, *vault_));
  processes_.emplace(*loop_, keeper_);
  probe_.emplace(*loop_, /*loads=*/true);
  version_checks_.emplace(*loop_);
  safe_mode_.emplace(*loop_);
  around_.emplace(supervise::Surroundings{
      .timers = *loop_,
      .processes = *processes_,
      .probe = *probe_,
      .vault = *vault_,
      .safe_mode = *safe_mode_,
      .table = *table_,
      .home = home_,
      .notify_socket = notify_socket.string(),
      .environment = passed_environment(home_),
      .log = [this](const std::string& text) { say(text); },
      .random = random_numbers(),
      .versions = [this](const std::string& project) { return versions_of(project); }});
  supervisor_.emplace(*around_);
  activator_.emplace(activation::Surroundings{
      .history = *history_,
      .supervisor = *supervisor_,
      .files = *files_,
      .timers = *loop_,
      .probe = *probe_,
      .home = home_,
      .log = [this](const std::string& text) { say(text); },
      .check_version = [this](const auto&... what) { version_checks_->begin(what...); }});
  return {};
}

std::vector<supervise::KnownVersion> Conductor::versions_of(const std::string& project) {
  constexpr std::size_t kMost = 10;
  std::vector<supervise::KnownVersion> known;
  if (project.empty()) return known;
  const Result<std::vector<history::Version>> versions = history_->versions(project);
  if (!versions) return known;
  for (const history::Version& version : *versions) {
    if (known.size() == kMost) break;
    std::error_code code;
    known.push_back(
        {.number = version.number,
         .state = std::string(history::to_string(version.state)),
         .is_laid_out = std::filesystem::is_directory(home_.version(project, version.number), code)});
  }
  return known;
}

Status Conductor::take_up() {
  SB_CHECK(tasks_->release_all());  // whoever had one has lost its connection
  SB_CHECK(supervisor_->recover());
  vault_->drop_untaken();
  // Before services are started: a swap that was interrupted knows better which ones should be.
  SB_CHECK(activator_->recover());
  supervisor_->resume();
  if (mended_) restart_readers_of_the_damaged_database();
  return {};
}

// The worker, most likely.
void Conductor::restart_readers_of_the_damaged_database() {
  for (const supervise::ServiceStatus& one : supervisor_->status()) {
    supervise::Service* service = supervisor_->find(one.name);
    if (service == nullptr || one.pid == 0 || !has_damaged_database(home_, one.pid)) continue;
    log(fmt::format("{}: restarted, since it has the damaged database open", one.name));
    service->restart([](const Status&) {});
  }
}

Status Conductor::listen() {
  notifications_->start(
      *loop_, [this](pid_t sender, const supervise::Notification& notification, std::vector<UniqueFd> fds) {
        supervisor_->notify(sender, notification, std::move(fds));
        state_events_->look_soon();
      });
  SB_TRY(server_, rpc::Server::listen(*loop_, home_.conductor_socket()));
  add_conductor_routes(*this);
  add_service_routes(*this);
  add_activation_routes(*this);
  add_promotion_routes(*this);
  add_task_routes(*this);
  add_http_routes(*this);
  server_->set_witness([this](const std::string& method, const rpc::Request& request) {
    return audit_trail_->witness(method, request);
  });
  server_->set_gate([this](const std::string& method) { return answer_of(method); });
  cap_logs();
  // A start mends it; whoever has no keeper goes on as well as it can.
  backup_.emplace(*loop_, home_, log, [this] { hand_over([](const Status&) {}); });
  return {};
}

void Conductor::cap_logs() {
  supervisor_->cap_logs();
  log_timer_ = loop_->after(kLogCheck, [this] { cap_logs(); });
}

int Conductor::run() {
  tell_service_manager("READY=1");
  events_->publish("conductor", Json{{"pid", ::getpid()}, {"version", SELFBUILD_VERSION}});
  state_events_->look_soon();
  // Soon, and not at the first probe: an upgrade of the host may take it away for a while. Not at once where
  // somebody was served before: it takes longer than all of the start.
  load_timer_ = loop_->after(keeper_.boots() > 1 ? kCalm : milliseconds(0), [this] {
    probe_->load([this](const Status& loaded) {
      if (!loaded) give_up(loaded.error());
    });
  });
  loop_->run();
  if (exit_code_ == keeper::kHandOver) {
    lock_.reset();
    keeper_.close();
  }
  return exit_code_;
}

// Whoever is answered finds what he was told after a power cut; who only looks does not wait for that.
rpc::Hold Conductor::answer_of(const std::string& method) {
  if (method == "conductor.status" || method == "task.list") return nullptr;
  return [this](const rpc::Sending& send) {
    sync_->when_durable([send](const Status& durable) {
      if (durable) return send({});
      send(
          fail(make_error(ErrorKind::environment, "it is done, but the disk did not take the record of it: " +
                                                      one_line(durable.error()))));
    });
  };
}

void Conductor::stop(bool services, std::function<void()> stopping) {
  stopping_ = true;
  if (exit_code_ == keeper::kHandOver) (void)keeper_.call_off_next();
  exit_code_ = 0;
  const auto end = [this, stopping = std::move(stopping)] {
    stopping();
    stop_when_all_is_said();
  };
  if (services) return supervisor_->stop_all(end);
  end();
}

void Conductor::hand_over(const std::function<void(const Status&)>& begun) {
  if (stopping_) return begun(fail(ErrorKind::conflict, "the conductor is being stopped"));
  // It is loaded while this one answers.
  const Status next =
      keeper_.connected()
          ? keeper_.start_next()
          : fail(ErrorKind::conflict, "the conductor has lost its keeper, which would start the next one",
                 "selfbuild conductor stop && selfbuild conductor start");
  begun(next);
  if (!next) return;
  exit_code_ = keeper::kHandOver;
  stop_when_all_is_said();
}

// After the answers that wait for the disk, unless it takes too long.
void Conductor::stop_when_all_is_said() {
  sync_->when_durable(
      [this](const Status&) { recorder_->when_written([this] { loop_->post([this] { loop_->stop(); }); }); });
  last_words_ = loop_->after(kLastWords, [this] { loop_->stop(); });
}

void Conductor::give_up(const Error& error) {
  fmt::print(stderr, "{}", format_error(error));
  exit_code_ = keeper::kGiveUp;
  loop_->stop();
}

}  // namespace sb::tool
