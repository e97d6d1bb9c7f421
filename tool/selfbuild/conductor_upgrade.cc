#include "tool/selfbuild/conductor_upgrade.h"

#include <algorithm>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "keeper/kept_programs.h"
#include "os/process.h"
#include "sandbox/run.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Outcome = ConductorUpgrade::Outcome;

constexpr std::chrono::seconds kProofTime{60};
// Three starts of the new one, their pauses, and a start of the old one.
constexpr std::chrono::seconds kReturnPatience{30};
constexpr milliseconds kPause{1};

constexpr const char* kPassed[] = {"HOME",           "PATH",           "TMPDIR",
                                   "SELFBUILD_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"};

// What `PROGRAM check-state` says.
Result<Json> prove(const fs::path& program) {
  const sandbox::Command command{.argv = {program.string(), "check-state"},
                                 .environment = os::environment_of(kPassed),
                                 .directory = fs::current_path().string()};
  std::string output;
  SB_TRY(const sandbox::Report report,
         sandbox::run(command, {.wall = kProofTime}, [&](std::string_view piece) { output += piece; }));
  const Result<Json> said = parse_json(trim(output));
  if (report.ok() && said && said->is_object() && said->contains("needs")) return *said;
  Error error = make_error(ErrorKind::refused,
                           "this program does not read the state that there is; nothing was changed");
  error.found =
      fmt::format("check-state: {}", report.ok() ? "an answer that no conductor gives" : report.to_string());
  error.expected = "check-state: exit code 0";
  error.log = last_lines(output, 10);
  return fail(std::move(error));
}

Status allow_migration(const Json& proof, bool migrate, const fs::path& file) {
  const bool migrates = proof.value("migrates", true);
  if (!migrates || migrate) return {};
  Error error =
      make_error(ErrorKind::refused,
                 "this program brings the database to a form that the running conductor cannot read, "
                 "so there would be no way back; nothing was changed",
                 fmt::format("selfbuild conductor upgrade --migrate {}", file.string()));
  error.expected = dump_json(proof.value("found", Json::object()));
  error.found = dump_json(proof.value("needs", Json::object()));
  return fail(std::move(error));
}

// Until another conductor than this one answers.
Result<Json> next_status(update::ConductorLink& conductor, pid_t before) {
  for (const auto give_up = steady_clock::now() + kReturnPatience;;) {
    conductor.close();
    const Result<Json> status = conductor.call_once("conductor.status", Json::object());
    if (status && status->value("pid", 0) != before) return *status;
    if (steady_clock::now() >= give_up) {
      return fail(ErrorKind::environment, "no conductor has answered since the old one ended",
                  "selfbuild conductor status");
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Result<ConductorUpgrade> upgrade_conductor(const os::Home& home, update::ConductorLink& conductor,
                                           const fs::path& file, bool migrate) {
  const Result<Json> running = conductor.call_once("conductor.status", Json::object());
  const pid_t old_pid = running ? running->value("pid", 0) : 0;
  if (running && !running->value("keeper", false)) {
    return fail(ErrorKind::conflict, "the conductor has lost its keeper, which would start the next one",
                "selfbuild conductor stop && selfbuild conductor start");
  }
  ConductorUpgrade upgrade;
  SB_TRY(upgrade.program, keeper::keep_program(home, file));
  SB_TRY(const Json proof, prove(upgrade.program));
  upgrade.version = proof.value("version", "");
  SB_CHECK(allow_migration(proof, migrate, file));
  upgrade.previous = keeper::kept_programs(home).current;
  if (running) {
    // What runs, whatever has become of the file that it was started from.
    SB_TRY(upgrade.previous, keeper::keep_program(home, fmt::format("/proc/{}/exe", old_pid)));
  }
  if (upgrade.previous == upgrade.program) {
    upgrade.outcome = Outcome::unchanged;
    upgrade.previous = keeper::kept_programs(home).previous;
    upgrade.pid = old_pid;
    return upgrade;
  }
  if (proof.value("migrates", false)) upgrade.previous.clear();
  SB_CHECK(keeper::make_current(home, upgrade.program, upgrade.previous));
  if (!running) {
    upgrade.outcome = Outcome::at_next_start;
    return upgrade;
  }
  SB_CHECK(conductor.call_once("conductor.hand_over", Json::object()));
  const auto ended = steady_clock::now();
  SB_TRY(const Json status, next_status(conductor, old_pid));
  upgrade.away = std::chrono::ceil<milliseconds>(steady_clock::now() - ended);
  upgrade.pid = status.value("pid", 0);
  if (keeper::kept_programs(home).current != upgrade.program) upgrade.outcome = Outcome::went_back;
  return upgrade;
}

}  // namespace sb::tool
