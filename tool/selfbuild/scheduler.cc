#include "tool/selfbuild/scheduler.h"

#include <filesystem>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/cron.h"
#include "os/process.h"
#include "project/project_file.h"
#include "staging/stage_pool.h"
#include "update/request.h"

namespace sb::tool {
namespace {

constexpr std::chrono::seconds kTick{20};

// Where the newest update of a project came from.
Result<std::string> repository_of(history::History& past, const std::string& name) {
  SB_TRY(const std::vector<history::Cycle> cycles, past.cycles(name));
  for (const history::Cycle& cycle : cycles) {
    if (cycle.kind != history::CycleKind::update) continue;
    SB_TRY(const update::Request request, update::request_from_json(cycle.improvement_plan));
    return request.repository;
  }
  return fail(ErrorKind::not_found, "never updated");
}

// The schedule as it is committed now, on the branch that is checked out.
Result<std::string> schedule_of(const std::string& repository_path) {
  SB_TRY(const staging::Repository repository, staging::Repository::open(repository_path));
  SB_TRY(const staging::Source source, repository.resolve("HEAD"));
  SB_TRY(const std::string text, repository.read_blob(source.tree, std::string(project::kFileName)));
  SB_TRY(const project::ProjectFile file, project::parse_project_file(text, std::string(project::kFileName)));
  return file.schedule;
}

Result<bool> is_due(const std::string& schedule, std::int64_t from, std::int64_t now) {
  if (schedule.empty()) return false;
  SB_TRY(const Cron cron, Cron::parse(schedule));
  const std::int64_t next = cron.next_after(from);
  return next != 0 && next <= now;
}

// What the nightly run may know of the worker's environment.
constexpr const char* kPassed[] = {"PATH",   "HOME",           "USER",           "LANG",
                                   "TMPDIR", "SELFBUILD_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"};

}  // namespace

void Scheduler::tick(std::int64_t now) {
  const std::int64_t from = std::exchange(checked_, now);
  const Result<std::vector<std::string>> projects = history_.projects();
  if (!projects) return;  // the next tick asks again
  for (const std::string& name : *projects) {
    const Result<std::string> repository = repository_of(history_, name);
    if (!repository) continue;
    const Result<std::string> schedule = schedule_of(*repository);
    if (schedule && is_due(*schedule, from, now).value_or(false)) launch_(*repository);
  }
}

void run_scheduler(const os::Home& home, const os::Clock& clock) {
  Result<history::History> past = history::History::open(home.database(), clock);
  if (!past) return;  // the worker's own attempt reports it
  std::vector<os::Process> children;
  const auto launch = [&](const std::string& repository) {
    const std::filesystem::path log = home.state() / "nightly.log";
    const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    Result<os::Process> child =
        os::spawn({.argv = {os::own_executable().string(), "-C", repository, "nightly"},
                   .environment = os::environment_of(kPassed),
                   .directory = repository,
                   .sockets = {},
                   .socket_names = {},
                   .output = output.get()});
    if (child) children.push_back(std::move(*child));
  };
  Scheduler scheduler(*past, launch, clock.unix_ms() / 1000);
  while (true) {
    std::this_thread::sleep_for(kTick);
    scheduler.tick(clock.unix_ms() / 1000);
    std::erase_if(children, [](const os::Process& child) { return os::reap(child).has_value(); });
  }
}

}  // namespace sb::tool
