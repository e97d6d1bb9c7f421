#include "tool/selfbuild/worker_loop.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/process.h"
#include "tool/selfbuild/scheduler.h"
#include "update/update_cycle.h"

namespace sb::tool {
namespace {

using std::chrono::milliseconds;

// While the conductor restarts itself, and longer: a worker without a conductor has nothing better to do.
constexpr milliseconds kConductorPatience{30'000};
constexpr milliseconds kHeartbeat{500};
// Between two tries of a cycle that could not be closed.
constexpr milliseconds kFirstPause{1'000};
constexpr milliseconds kLongestPause{30'000};

// sd_notify(3), the client's side: one datagram to $NOTIFY_SOCKET; nothing without it.
void notify(std::string_view state) {
  const std::string path = os::environment_variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           sizeof address);
}

// One thread for what must go on while a cycle runs: the heartbeat, and the end on SIGTERM.
class Pulse {
 public:
  Pulse() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // before any other thread, which inherits it
    std::thread([this] { beat(); }).detach();          // lives as long as the process, and ends it
  }

 private:
  [[noreturn]] void beat() const {
    const timespec interval{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kHeartbeat).count()};
    while (::sigtimedwait(&signals_, nullptr, &interval) < 0) notify("WATCHDOG=1");
    notify("STOPPING=1");
    ::_exit(kDone);
  }
  sigset_t signals_{};
};

// Only its `done` record closes a cycle. One that nobody knows has nothing to take up.
bool is_closed(history::History& past, std::int64_t cycle) {
  const Result<std::optional<history::JournalRecord>> last = past.last_record(cycle);
  return last && (!*last || (*last)->step == history::Step::done);
}

Status work(const Program& program, const os::Home& home, history::History& past) {
  update::ConductorLink conductor(home, kConductorPatience);
  milliseconds pause = kFirstPause;
  while (true) {
    SB_TRY(const Turn turn, take_turn(home, past, conductor, program.clock()));
    if (turn == Turn::closed) {
      pause = kFirstPause;
      continue;
    }
    std::this_thread::sleep_for(pause);  // a full disk does not get emptier by asking it
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace

Result<Turn> take_turn(const os::Home& home, history::History& past, update::ConductorLink& conductor,
                       const os::Clock& clock) {
  SB_TRY(const Json task, conductor.call("task.claim", Json::object()));
  SB_TRY(const std::int64_t cycle, json_integer(task, "cycle"));
  update::UpdateCycle update(home, past, conductor, clock, cycle);
  notify(fmt::format("STATUS=running {}", history::cycle_name(cycle)));
  const Result<bool> kept = update.run();
  notify("STATUS=waiting for work");
  if (!kept) Console::error(kept.error());
  if (!kept && (kept.error().kind == ErrorKind::interrupted || !is_closed(past, cycle))) {
    // Our lease ends with the connection, and the task is anybody's again: a task that ended before its cycle
    // would leave the cycle open for ever. How often is bounded by the cycle itself.
    conductor.close();
    return Turn::left_open;
  }
  Json result{{"kept", kept.value_or(false)}};
  if (!kept) result["error"] = one_line(kept.error());
  const Result<Json> closed = conductor.call("task.complete", {{"task", task.at("task")},
                                                               {"attempt", task.at("attempt")},
                                                               {"ok", kept.value_or(false)},
                                                               {"result", std::move(result)}});
  if (!closed && closed.error().kind != ErrorKind::interrupted) Console::error(closed.error());
  return Turn::closed;
}

Result<int> run_worker(Program& program) {
  const Pulse pulse;
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  notify("READY=1\nSTATUS=waiting for work\nWATCHDOG=1");
  if (!os::environment_variable("SELFBUILD_CANDIDATE").empty()) {
    while (true) ::pause();  // being probed; Pulse ends the process
  }
  std::thread(run_scheduler, std::cref(*home), std::cref(program.clock()))
      .detach();  // as long as the process
  SB_CHECK(work(program, *home, *past));
  return kDone;
}

}  // namespace sb::tool
