// probe_candidate: the candidate run. The new version is started beside the live one, on sockets and folders
// of its own, and has to become ready and healthy before anybody thinks of a swap.
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <poll.h>

#include "base/text.h"
#include "os/file_system.h"
#include "os/unix_socket.h"
#include "sandbox/run.h"
#include "supervise/address.h"
#include "supervise/probe.h"
#include "testrun/examiner.h"
#include "testrun/half_request.h"
#include "testrun/transcript.h"

namespace sb::testrun {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using supervise::BoundSocket;
using supervise::ProbeSpec;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kTick{20};
// A program that nobody asks anything has to live at least this long: most that fail do so while loading.
constexpr milliseconds kUnaskedLife{500};
// However often it asks for more time, it has to be up by then.
constexpr milliseconds kLongestStart = std::chrono::hours(1);
// Until a busy service accepts a connection.
constexpr milliseconds kAcceptPatience{1000};
constexpr std::uint64_t kProbeOutput = 64 * 1024;

// "127.0.0.1:8080" for whatever reaches it; the text itself when it is no address.
std::string canonical(const std::string& address) {
  const auto parsed = supervise::parse_address(address);
  return parsed ? supervise::reachable(*parsed).to_string() : address;
}

// The same socket as the manifest's, but fresh: of the same family, on a free port or in a folder of the run.
supervise::SocketSpec fresh(const supervise::SocketSpec& socket, std::size_t index, const fs::path& folder) {
  if (socket.listen.starts_with("unix:")) {
    return {.name = socket.name, .listen = "unix:" + (folder / fmt::format("socket-{}", index)).string()};
  }
  return {.name = socket.name, .listen = socket.listen.starts_with('[') ? "[::1]:0" : "127.0.0.1:0"};
}

// A probe that names a declared socket by its address means the candidate's own socket now.
ProbeSpec redirected(ProbeSpec probe, const supervise::ServiceSpec& service) {
  const bool by_name =
      std::ranges::any_of(service.sockets, [&](const auto& s) { return s.name == probe.address; });
  if (by_name) return probe;
  for (const supervise::SocketSpec& socket : service.sockets) {
    if (canonical(socket.listen) == canonical(probe.address)) probe.address = socket.name;
  }
  return probe;
}

void set_variable(std::vector<std::string>& environment, std::string variable) {
  const std::string name = variable.substr(0, variable.find('=') + 1);
  std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(name); });
  environment.push_back(std::move(variable));
}

class CandidateRun {
 public:
  CandidateRun(const ProbeRequest& request, Transcript transcript, const std::stop_token& stop)
      : request_(request),
        service_(request.service),
        transcript_(std::move(transcript)),
        stop_(stop),
        start_probe_(redirected(service_.start, service_)),
        ready_probe_(redirected(service_.ready, service_)),
        health_probe_(redirected(service_.health, service_)) {}

  [[nodiscard]] Result<Verdict> examine();

 private:
  [[nodiscard]] Status prepare(const fs::path& folder);
  [[nodiscard]] sandbox::Command command(std::vector<std::string> argv) const;
  [[nodiscard]] std::string answered_by_another(const ProbeSpec& probe) const;
  [[nodiscard]] std::string watch();
  [[nodiscard]] std::string until_ready();
  [[nodiscard]] std::string until_healthy();
  [[nodiscard]] std::string tick(std::string_view before_what);
  [[nodiscard]] std::string ask_until_good(const ProbeSpec& probe, std::string_view what);
  [[nodiscard]] Status ask(ProbeSpec probe) const;
  [[nodiscard]] Status ask_command(const ProbeSpec& probe) const;
  void hear_notifications();
  [[nodiscard]] bool late() const { return Clock::now() >= deadline_; }
  [[nodiscard]] std::optional<HalfRequest> half_request() const;
  [[nodiscard]] std::optional<Cooperation> end();
  [[nodiscard]] Verdict verdict(const std::string& reason, const sandbox::Grant& grant) const;

  const ProbeRequest& request_;
  const supervise::ServiceSpec& service_;
  Transcript transcript_;
  const std::stop_token& stop_;
  const ProbeSpec start_probe_;
  const ProbeSpec ready_probe_;
  const ProbeSpec health_probe_;
  fs::path folder_;   // of the run
  fs::path version_;  // a copy: what the candidate leaves there does not go live
  std::vector<BoundSocket> sockets_;
  UniqueFd notify_;
  std::optional<sandbox::Running> running_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point deadline_;
  milliseconds boot_{0};
  supervise::Notification heard_;
};

Status CandidateRun::prepare(const fs::path& folder) {
  folder_ = folder;
  version_ = folder / "version";
  for (const char* name : {"home", "tmp", "state"}) SB_CHECK(os::make_folders(folder / name));
  std::error_code code;
  fs::copy(request_.version, version_, fs::copy_options::recursive, code);
  if (code) return fail(errno_error("cannot copy " + request_.version.string(), code.value()));
  for (std::size_t i = 0; i < service_.sockets.size(); ++i) {
    SB_TRY(BoundSocket bound, supervise::bind_socket(fresh(service_.sockets[i], i, folder)));
    sockets_.push_back(std::move(bound));
  }
  SB_TRY(notify_, os::bind_unix_datagram(folder / "notify"));
  return {};
}

sandbox::Command CandidateRun::command(std::vector<std::string> argv) const {
  sandbox::Command command{
      .argv = std::move(argv),
      .environment = supervise::service_environment(service_, (folder_ / "notify").string()),
      .directory = version_.string()};
  set_variable(command.environment, "SELFBUILD_CANDIDATE=1");
  set_variable(command.environment, "STATE_DIRECTORY=" + (folder_ / "state").string());
  set_variable(command.environment, "SELFBUILD_HOME=" + (folder_ / "state").string());
  set_variable(command.environment, "HOME=" + (folder_ / "home").string());
  set_variable(command.environment, "TMPDIR=" + (folder_ / "tmp").string());
  return command;
}

// A probe that asks an address which is no socket of the service may be answered by the live version, and
// then says nothing about this one.
std::string CandidateRun::answered_by_another(const ProbeSpec& probe) const {
  if (probe.kind != ProbeSpec::Kind::http && probe.kind != ProbeSpec::Kind::tcp) return {};
  if (std::ranges::any_of(sockets_, [&](const BoundSocket& s) { return s.name == probe.address; })) return {};
  if (!ask(probe)) return {};
  return fmt::format(
      "its probe asks {}, where another program answers: declare that address as a socket of the service",
      probe.address);
}

Status CandidateRun::ask(ProbeSpec probe) const {
  const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
  probe.timeout = std::max(std::min(probe.timeout, left), milliseconds(1));
  if (probe.kind == ProbeSpec::Kind::command) return ask_command(probe);
  return supervise::probe_once(probe, sockets_, version_);
}

// A probe's command comes with the change that is on trial, so it is confined like the candidate itself.
Status CandidateRun::ask_command(const ProbeSpec& probe) const {
  sandbox::Command asking = command(supervise::resolved_command(probe.command, version_));
  for (const BoundSocket& socket : sockets_)
    set_variable(asking.environment, supervise::listen_variable(socket));
  sandbox::Envelope envelope = request_.envelope;
  envelope.wall = probe.timeout;
  envelope.output_bytes = kProbeOutput;
  std::string output;
  const Result<sandbox::Report> report =
      sandbox::run(asking, envelope, [&](std::string_view piece) { output += piece; }, stop_);
  const std::string shown = join(probe.command, " ");
  if (!report) return fail(ErrorKind::unhealthy, fmt::format("`{}`: {}", shown, one_line(report.error())));
  if (report->ok()) return {};
  Error error = make_error(ErrorKind::unhealthy, fmt::format("`{}` says no: {}", shown, report->to_string()));
  error.log = printable(trim(output), kProbeOutput);
  return fail(std::move(error));
}

void CandidateRun::hear_notifications() {
  while (true) {
    const Result<os::Message> message = os::receive_with_fds(notify_.get());
    if (!message || message->bytes.empty()) return;
    const supervise::Notification news = supervise::parse_notification(message->bytes);
    heard_.ready = heard_.ready || news.ready;
    heard_.watchdog = heard_.watchdog || news.watchdog;
    if (news.status) heard_.status = printable(*news.status, 200);
    if (news.extend_timeout_usec) {
      const auto more = std::min<milliseconds>(
          std::chrono::duration_cast<milliseconds>(std::chrono::microseconds(*news.extend_timeout_usec)),
          kLongestStart);
      const auto last = std::max(started_ + kLongestStart, started_ + service_.start_timeout);
      deadline_ =
          std::min<Clock::time_point>(std::max<Clock::time_point>(deadline_, Clock::now() + more), last);
    }
  }
}

// Lets the candidate run for a moment. The reason when that was its end.
std::string CandidateRun::tick(std::string_view before_what) {
  const auto report = running_->wait_for(kTick, [this](std::string_view piece) { transcript_.take(piece); });
  hear_notifications();
  if (stop_.stop_requested()) return "stopped";
  if (!report) return {};
  return fmt::format("ended before it was {}: {}", before_what, report->to_string());
}

std::string CandidateRun::ask_until_good(const ProbeSpec& probe, std::string_view what) {
  Clock::time_point next = Clock::now();
  std::string last = "it was never asked";
  int good = 0;  // in a row
  while (true) {
    if (std::string end = tick(what); !end.empty()) return end;
    if (Clock::now() >= next) {
      const Status answer = ask(probe);
      good = answer ? good + 1 : 0;
      if (good >= probe.successes) return {};
      if (!answer) last = one_line(answer.error());
      next = Clock::now() + std::min<milliseconds>(probe.interval, milliseconds(250));
    }
    if (late())
      return fmt::format("not {} within {}: {}", what, human_duration(service_.start_timeout), last);
  }
}

std::string CandidateRun::until_ready() {
  if (start_probe_.asks()) {
    if (std::string reason = ask_until_good(start_probe_, "started"); !reason.empty()) return reason;
  }
  if (ready_probe_.asks()) return ask_until_good(ready_probe_, "ready");
  if (ready_probe_.kind != ProbeSpec::Kind::notify) return {};
  while (!heard_.ready) {
    if (std::string end = tick("ready"); !end.empty()) return end;
    if (late() && !heard_.ready) {
      return fmt::format("not ready within {}: no READY=1 on its NOTIFY_SOCKET{}",
                         human_duration(service_.start_timeout),
                         heard_.status ? "; its status: " + *heard_.status : "");
    }
  }
  return {};
}

std::string CandidateRun::until_healthy() {
  if (health_probe_.asks()) {
    if (std::string reason = ask_until_good(health_probe_, "healthy"); !reason.empty()) return reason;
    // Once more: an answer that comes only once is no health.
    if (std::string end = tick("healthy"); !end.empty()) return end;
    const Status again = ask(health_probe_);
    return again ? std::string() : "healthy once, then no more: " + one_line(again.error());
  }
  if (health_probe_.kind == ProbeSpec::Kind::watchdog) {
    while (!heard_.watchdog) {
      if (std::string end = tick("healthy"); !end.empty()) return end;
      if (late() && !heard_.watchdog) {
        return fmt::format("not healthy within {}: no WATCHDOG=1 on its NOTIFY_SOCKET",
                           human_duration(service_.start_timeout));
      }
    }
    return {};
  }
  if (ready_probe_.kind != ProbeSpec::Kind::none) return tick("healthy");
  const auto enough = std::min<Clock::time_point>(started_ + kUnaskedLife, deadline_);
  while (Clock::now() < enough) {
    if (std::string end = tick("healthy"); !end.empty()) return end;
  }
  return {};
}

std::string CandidateRun::watch() {
  if (std::string reason = until_ready(); !reason.empty()) return reason;
  boot_ = std::chrono::ceil<milliseconds>(Clock::now() - started_);
  return until_healthy();
}

std::optional<HalfRequest> CandidateRun::half_request() const {
  for (const ProbeSpec* probe : {&health_probe_, &ready_probe_, &start_probe_}) {
    if (auto request = HalfRequest::begin(*probe, sockets_)) return request;
  }
  return std::nullopt;
}

// Tells it to end, as a swap would, with a request on its way. Nothing when it ends before it is told to.
std::optional<Cooperation> CandidateRun::end() {
  const auto sink = [this](std::string_view piece) { transcript_.take(piece); };
  std::optional<HalfRequest> request = half_request();
  if (request) {
    const Clock::time_point patience = Clock::now() + kAcceptPatience;
    do {
      if (running_->wait_for(kTick, sink)) return std::nullopt;
    } while (!request->accepted() && Clock::now() < patience);
    // One that it never accepted, or answers before it was asked all, says nothing.
    if (!request->accepted() || request->answered()) request.reset();
  }
  const Clock::time_point told = Clock::now();
  running_->terminate();
  std::optional<sandbox::Report> report = running_->wait_for(kTick, sink);
  if (request) request->finish();
  SeenEnd seen;
  while (!report && Clock::now() < told + service_.drain_timeout) {
    if (request && request->answered()) {
      seen.answered = request->answered();
      request.reset();  // it may wait until we close the connection
    }
    report = running_->wait_for(kTick, sink);
  }
  if (request) seen.answered = request->answered().value_or(false);
  seen.in_time = report.has_value();
  Cooperation cooperation{.service = service_.name};
  cooperation.boot = boot_;
  cooperation.drain = std::chrono::ceil<milliseconds>(Clock::now() - told);
  if (report) {
    seen.signal = report->signal;
    cooperation.end = report->ending();
  }
  cooperation.answered = seen.answered;
  cooperation.level = level_of(service_, seen);
  return cooperation;
}

Verdict CandidateRun::verdict(const std::string& reason, const sandbox::Grant& grant) const {
  Verdict verdict;
  verdict.tests = 1;
  verdict.grant = grant;
  verdict.took = std::chrono::duration_cast<milliseconds>(Clock::now() - started_);
  verdict.passed = reason.empty();
  if (verdict.passed) return verdict;
  verdict.failed = 1;
  verdict.reason = fmt::format("candidate of {}: {}", service_.name, reason);
  verdict.failures.push_back(
      {.name = "candidate of " + service_.name, .output = transcript_.last(kOutputLines)});
  return verdict;
}

Result<Verdict> CandidateRun::examine() {
  SB_TRY(const os::TemporaryFolder folder, os::TemporaryFolder::make("selfbuild-candidate"));
  SB_CHECK(doing("preparing the candidate run", prepare(folder.path())));
  deadline_ = started_ + service_.start_timeout;
  for (const ProbeSpec* probe : {&start_probe_, &ready_probe_, &health_probe_}) {
    if (std::string reason = answered_by_another(*probe); !reason.empty()) return verdict(reason, {});
  }
  started_ = Clock::now();
  deadline_ = started_ + service_.start_timeout;
  // A candidate that cannot even be started is a bad candidate, not a broken host.
  sandbox::Command service = command(supervise::resolved_command(service_.command, version_));
  for (const BoundSocket& socket : sockets_) {
    service.sockets.push_back(socket.fd.get());
    service.socket_names.push_back(socket.name);
  }
  Result<sandbox::Running> started = sandbox::start(service, request_.envelope);
  if (!started) return verdict(one_line(started.error()), sandbox::survey(request_.envelope));
  running_ = std::move(*started);

  std::string reason = watch();
  std::optional<Cooperation> cooperation;
  if (reason.empty()) cooperation = end();
  const auto grace = cooperation ? milliseconds(0) : service_.drain_timeout;
  const sandbox::Report report =
      running_->stop(grace, [this](std::string_view piece) { transcript_.take(piece); });
  transcript_.end();
  if (stop_.stop_requested()) return fail(ErrorKind::interrupted, "the candidate run was stopped");
  if (reason.empty() && report.limit != sandbox::LimitHit::none) reason = report.to_string();
  Verdict all = verdict(reason, report.grant);
  if (all.passed) all.cooperation = std::move(cooperation);
  return all;
}

}  // namespace

Result<Verdict> probe_candidate(const ProbeRequest& request, const LineSink& lines,
                                const std::stop_token& stop) {
  SB_TRY(Transcript transcript, Transcript::open(request.log, lines));
  return CandidateRun(request, std::move(transcript), stop).examine();
}

}  // namespace sb::testrun
