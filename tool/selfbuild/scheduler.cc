#include "tool/selfbuild/scheduler.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>

#include "base/cron.h"
#include "base/text.h"
#include "os/file_system.h"
#include "os/process.h"
#include "project/project_file.h"
#include "staging/stage_pool.h"
#include "tool/selfbuild/command.h"
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

// Waits for its end.
int exit_code_of(const os::Process& child) {
  while (true) {
    pollfd ended{.fd = child.pidfd.get(), .events = POLLIN, .revents = 0};
    (void)::poll(&ended, 1, -1);
    if (const std::optional<os::Exit> exit = os::reap(child))
      return exit->signal == 0 ? exit->code : kRefused;
  }
}

}  // namespace

Scheduler::Scheduler(history::History& history, Launch launch, std::int64_t now, std::filesystem::path due)
    : history_(history), launch_(std::move(launch)), checked_(now), file_(std::move(due)) {
  const std::string text = os::read_file(file_).value_or("");
  for (const std::string_view line : split_lines(text)) {
    if (!line.empty()) due_.emplace_back(line);
  }
}

void Scheduler::tick(std::int64_t now) {
  const Result<std::vector<std::string>> projects = history_.projects();
  if (!projects) return;  // the next tick asks again
  const std::int64_t from = std::exchange(checked_, now);
  for (const std::string& name : *projects) {
    const Result<std::string> repository = repository_of(history_, name);
    if (!repository || std::ranges::find(due_, *repository) != due_.end()) continue;
    const Result<std::string> schedule = schedule_of(*repository);
    if (schedule && is_due(*schedule, from, now).value_or(false)) due_.push_back(*repository);
  }
  for (std::size_t turns = due_.size(); turns > 0; --turns) {
    const std::string repository = due_.front();
    // Struck off before it runs: the worker that it replaces must not leave it to its successor.
    due_.erase(due_.begin());
    remember();
    if (launch_(repository) == kBusy) due_.push_back(repository);
  }
  if (!due_.empty()) remember();
}

// A night that is forgotten is no reason to stop: the file is written as well as can be.
void Scheduler::remember() const {
  (void)os::RealFileSystem().write_durably(file_, due_.empty() ? "" : join(due_, "\n") + '\n', 0600);
}

void run_scheduler(const os::Home& home, const os::Clock& clock) {
  Result<history::History> past = history::History::open(home.database(), clock);
  if (!past) return;  // the worker's own attempt reports it
  const auto launch = [&](const std::string& repository) -> int {
    const std::filesystem::path log = home.state() / "nightly.log";
    const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const Result<os::Process> child =
        os::spawn({.argv = {os::own_executable().string(), "-C", repository, "nightly"},
                   .environment = os::environment_of(kPassed),
                   .directory = repository,
                   .sockets = {},
                   .socket_names = {},
                   .output = output.get()});
    return child ? exit_code_of(*child) : kUnavailable;
  };
  Scheduler scheduler(*past, launch, clock.unix_ms() / 1000, home.state() / "nightly.due");
  while (true) {
    std::this_thread::sleep_for(kTick);
    scheduler.tick(clock.unix_ms() / 1000);
  }
}

}  // namespace sb::tool
