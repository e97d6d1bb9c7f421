#include "update/conductor_link.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "history/crash_point.h"
#include "os/file_system.h"
#include "os/process.h"

namespace sb::update {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kStartPatience{10'000};
constexpr milliseconds kStopPatience{30'000};
// Longer than the longest pause of the keeper between two starts.
constexpr milliseconds kReturnPatience{5'000};
constexpr milliseconds kRetryPause{20};
constexpr int kMaxAttempts = 20;

// What the conductor, and through it every service, may know of the caller's environment.
constexpr const char* kPassed[] = {"HOME",           "USER",           "LANG",
                                   "PATH",           "TMPDIR",         "SELFBUILD_HOME",
                                   "SELFBUILD_HTTP", "XDG_STATE_HOME", "XDG_CACHE_HOME"};

std::vector<std::string> passed_environment() {
  std::vector<std::string> environment = os::environment_of(kPassed);
  std::ranges::move(os::environment_of(history::kCrashVariables), std::back_inserter(environment));
  return environment;
}

Result<fs::path> find_conductor() {
  const std::string named = os::environment_variable("SELFBUILD_CONDUCTOR");
  if (!named.empty()) return fs::path(named);
  fs::path beside = os::own_executable().parent_path() / "conductor";
  std::error_code code;
  if (fs::exists(beside, code)) return beside;
  return fs::path("conductor");  // spawn looks in PATH, and says so when it is not there
}

// Each is held by a process for as long as it lives, and names its pid. The keeper passes signals on.
constexpr const char* kLocks[] = {"keeper.lock", "conductor.lock"};

bool is_held(const fs::path& lock) {
  const UniqueFd fd(::open(lock.c_str(), O_RDWR | O_CLOEXEC));
  return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

// Who holds it. Nobody else can have the pid as long as the lock is held, which is asked last.
std::optional<os::Process> owner_of(const fs::path& lock) {
  const std::string text = os::read_file(lock).value_or("");
  const auto pid = static_cast<pid_t>(std::strtol(text.c_str(), nullptr, 10));
  const auto started = pid > 0 ? os::start_ticks_of(pid) : std::nullopt;
  auto process = started ? os::adopt(pid, *started) : std::nullopt;
  return is_held(lock) ? std::move(process) : std::nullopt;
}

// Whether this process, or one that it started, is the keeper: spawn gives each a session of its own.
bool keeps(const os::Process& process, const fs::path& state) {
  const auto keeper = owner_of(state / "keeper.lock");
  return keeper && ::getsid(keeper->pid) == process.pid;
}

// The conductor is asked over and over until it answers: a socket file alone does not say that anybody
// listens.
template <typename Attempt>
Status retry(milliseconds patience, const Attempt& attempt) {
  const auto give_up = steady_clock::now() + patience;
  while (true) {
    Status status = attempt();
    if (status || steady_clock::now() >= give_up) return status;
    std::this_thread::sleep_for(kRetryPause);
  }
}

}  // namespace

Status ConductorLink::connect() {
  if (client_) return {};
  return retry(patience_, [&]() -> Status {
    Result<rpc::Client> client = rpc::Client::connect(home_.conductor_socket());
    if (!client) {
      Error error = make_error(ErrorKind::environment,
                               fmt::format("the conductor is not running: {}", one_line(client.error())),
                               "selfbuild conductor start");
      return fail(std::move(error));
    }
    client_ = std::move(*client);
    return {};
  });
}

bool ConductorLink::answers() {
  return call_once("conductor.status", Json::object()).has_value();
}

Status ConductorLink::start_if_needed() {
  if (answers()) return {};
  close();
  SB_TRY(const fs::path program, find_conductor());
  const fs::path log = home_.state() / "conductor.log";
  const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!output) return fail(errno_error(fmt::format("cannot open {}", log.string())));
  os::SpawnSpec spec{.argv = {program.string(), "run"},
                     .environment = passed_environment(),
                     .directory = "/",
                     .sockets = {},
                     .socket_names = {},
                     .output = output.get()};
  SB_TRY(const os::Process process, doing("starting the conductor", os::spawn(spec)));
  const auto give_up = steady_clock::now() + kStartPatience;
  std::optional<os::Exit> exit;
  while (!answers()) {
    close();
    if (!exit) exit = os::reap(process);
    // Another caller may have started one at the same moment, or the keeper is about to start one again: ours
    // then ends by itself, and theirs answers soon.
    if (steady_clock::now() >= give_up || (exit && (exit->code != 4 || !lives()))) {
      Error error = make_error(ErrorKind::environment,
                               exit ? fmt::format("the conductor ended at once ({})", exit->to_string())
                                    : "the conductor does not answer",
                               fmt::format("cat {}", log.string()));
      error.log = last_lines(os::read_file(log).value_or(""), 10);
      return fail(std::move(error));
    }
    std::this_thread::sleep_for(kRetryPause);
  }
  if (exit || keeps(process, home_.state())) return {};
  // Theirs answers before ours has found the locks taken. Left alone, ours could take them when theirs is
  // stopped, and a stopped conductor would be back.
  os::send_signal(process, SIGTERM, true);
  return retry(kStopPatience, [&]() -> Status {
    if (os::reap(process)) return {};
    return fail(ErrorKind::environment, "a second conductor was told to stop, and is still there",
                "cat " + log.string());
  });
}

Result<bool> ConductorLink::stop(bool services) {
  // Nobody answers while the keeper is about to start the conductor again. Soon somebody does, or never will.
  bool asked = false;
  for (const auto give_up = steady_clock::now() + kReturnPatience; !asked;) {
    const Result<Json> answer = call_once("conductor.stop", {{"services", services}});
    close();
    asked = answer.has_value();
    if (asked) break;
    const ErrorKind kind = answer.error().kind;
    if (kind != ErrorKind::environment && kind != ErrorKind::interrupted) return fail(answer.error());
    if (!lives()) return false;
    if (steady_clock::now() >= give_up) break;
    std::this_thread::sleep_for(kRetryPause);
  }
  if (!asked) terminate();
  SB_CHECK(retry(kStopPatience, [&]() -> Status {
    if (!lives()) return {};
    return fail(ErrorKind::environment, "the conductor was told to stop, and is still there",
                "cat " + (home_.state() / "conductor.log").string());
  }));
  if (asked || !services) return true;
  return fail(ErrorKind::environment,
              "the conductor did not answer and was ended; its services could not be stopped and run on",
              "selfbuild conductor start");
}

bool ConductorLink::lives() const {
  return std::ranges::any_of(kLocks, [&](const char* lock) { return is_held(home_.state() / lock); });
}

void ConductorLink::terminate() const {
  for (const char* lock : kLocks) {
    if (const auto owner = owner_of(home_.state() / lock)) return os::send_signal(*owner, SIGTERM);
  }
}

Result<Json> ConductorLink::call_once(const std::string& method, const Json& params) {
  SB_CHECK(connect());
  Result<Json> answer = client_->call(method, params);
  if (!answer && answer.error().kind == ErrorKind::interrupted) close();
  return answer;
}

Result<Json> ConductorLink::call(const std::string& method, const Json& params) {
  // Every try waits up to `patience` for a conductor that is coming up again; the bound is for one that dies
  // of us.
  for (int attempt = 1;; ++attempt) {
    Result<Json> answer = call_once(method, params);
    if (answer || answer.error().kind != ErrorKind::interrupted || attempt == kMaxAttempts) return answer;
  }
}

}  // namespace sb::update
