// conductor: the daemon that keeps services up, owns their sockets, swaps their binaries and takes bad ones
// back.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "http/server.h"
#include "keeper/keeper.h"
#include "keeper/keeper_link.h"
#include "keeper/kept_programs.h"
#include "os/file_system.h"
#include "os/home.h"
#include "os/process.h"
#include "tool/conductor/conductor.h"
#include "tool/conductor/http_front.h"
#include "tool/conductor/instance_lock.h"
#include "tool/conductor/state_check.h"

namespace {

constexpr int kUsage = 2;
constexpr int kUnavailable = 4;
constexpr int kBug = 70;
constexpr std::chrono::milliseconds kLockPatience{100};  // whoever only asks for a lock holds it for a moment

constexpr std::string_view kHelp = R"(conductor keeps services up and puts new versions of them into service.

  conductor run        in the foreground, for a service manager or a terminal
    --http ADDRESS     also answer HTTP there: 127.0.0.1:PORT or [::1]:PORT, nowhere else; /status,
                       /metrics (Prometheus) and /events are for all on this host, changes need the token
  conductor check-state   reads a copy of the state folder's database, and says in JSON which schema this
                          program needs; for `selfbuild conductor upgrade`
  conductor --version

`selfbuild` starts it by itself when it is needed; `selfbuild conductor start|stop|status` is the
way to it by hand. SIGTERM and Ctrl-C stop it; the services run on and are adopted at the next start.

What it changes on disk: $SELFBUILD_HOME/state (default: $XDG_STATE_HOME/selfbuild).

Environment:
  SELFBUILD_HOME   where everything is kept
  SELFBUILD_HTTP   what --http says; $SELFBUILD_HOME/state/http.sock answers in any case

Exit codes: 0 stopped · 2 usage · 4 another conductor has this home, or the host lacks something · 70 bug
)";

int report(const sb::Error& error) {
  fmt::print(stderr, "{}", sb::format_error(error));
  if (error.kind == sb::ErrorKind::usage) return kUsage;
  return error.kind == sb::ErrorKind::bug ? kBug : kUnavailable;
}

// Becomes the keeper, which starts this program with `serve`.
sb::Result<int> run() {
  SB_TRY(const sb::os::Home home, sb::os::Home::from_environment());
  if (const std::string http = sb::os::environment_variable(sb::tool::kHttpVariable); !http.empty()) {
    // Here as well, for an answer before anything is started.
    int port = 0;
    SB_TRY([[maybe_unused]] const sb::UniqueFd free, sb::http::listen_loopback(http, port));
  }
  {
    // Asked here as well, for an answer before anything is started; the conductor itself holds the lock.
    SB_TRY([[maybe_unused]] const sb::tool::InstanceLock free,
           sb::tool::InstanceLock::take(home.state() / "conductor.lock", kLockPatience));
  }
  // Held between two conductors, too.
  SB_TRY(const sb::tool::InstanceLock lock,
         sb::tool::InstanceLock::take(home.state() / "keeper.lock", kLockPatience));
  SB_CHECK(sb::os::make_folders(home.conductors()));
  const std::filesystem::path self = sb::os::own_executable();
  sb::keeper::note_installed(home, self);
  const std::string keeper = self.parent_path() / "conductor-keeper";
  const std::string number = fmt::format("{}", lock.inherited());
  ::execl(keeper.c_str(), keeper.c_str(), number.c_str(), home.conductors().c_str(), self.c_str(), nullptr);
  return sb::fail(sb::errno_error(fmt::format("cannot start {}", keeper)));
}

sb::Result<int> serve() {
  ::signal(SIGPIPE, SIG_IGN);  // services get the default back
  sb::keeper::KeeperLink keeper = sb::keeper::KeeperLink::from_environment();
  SB_TRY(const sb::os::Home home, sb::os::Home::from_environment());
  auto conductor = sb::tool::Conductor::start(home, keeper);
  if (!conductor) {
    const int code = report(conductor.error());
    // What will not get better by itself is not to be tried again (the keeper does so after a good start).
    const sb::ErrorKind kind = conductor.error().kind;
    const bool hopeless = kind == sb::ErrorKind::conflict || kind == sb::ErrorKind::environment;
    return keeper.connected() && hopeless ? sb::keeper::kGiveUp : code;
  }
  const int code = (*conductor)->run();
  // All that has to last is on disk. A service that does not answer its probe must not hold up the stop, and
  // nothing the next conductor.
  if (code != 0 || !(*conductor)->can_end_at_once()) std::_Exit(code);
  return 0;
}

sb::Result<int> check_state() {
  SB_TRY(const sb::os::Home home, sb::os::Home::from_environment());
  SB_TRY(const std::string found, sb::tool::check_state(home));
  fmt::print("{}\n", found);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool with_http =
      argc == 4 && std::string_view(argv[1]) == "run" && std::string_view(argv[2]) == "--http";
  if (with_http) ::setenv(sb::tool::kHttpVariable, argv[3], 1);
  const std::string_view command = argc == 2 || with_http ? argv[1] : "";
  if (command == "--help" || command == "-h" || command == "help") {
    fmt::print("{}", kHelp);
    return 0;
  }
  if (command == "--version") {
    fmt::print("conductor {}\n", SELFBUILD_VERSION);
    return 0;
  }
  if (command != "run" && command != "serve" && command != "check-state") {
    fmt::print(stderr, "{}\n\nnext:\n  conductor --help\n",
               argc < 2 ? "conductor needs a command" : "conductor does not know this command line");
    return kUsage;
  }
  const sb::Result<int> code = command == "run" ? run() : command == "serve" ? serve() : check_state();
  return code ? *code : report(code.error());
}
