// selfbuild nightly: what cron calls. New commits on the branch make one cycle; everything else is quiet.
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>

#include "base/text.h"
#include "tool/selfbuild/follow.h"
#include "tool/selfbuild/rollout_options.h"
#include "tool/selfbuild/submit.h"

namespace sb::tool {
namespace {

using history::History;

constexpr std::int64_t kFirstPauseMs = 3'600'000;  // after one failure: an hour; doubled by each further one
constexpr std::int64_t kLongestPauseMs = 7 * 86'400'000LL;

struct Options {
  std::string branch;
  bool now = false;
};

// At most one nightly on the host; the lock ends with the process.
Result<UniqueFd> lock(const os::Home& home) {
  const std::filesystem::path path = home.state() / "nightly.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error(fmt::format("cannot open {}", path.string())));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return UniqueFd();
  return fd;
}

int quiet(Program& program, int code, const std::string& outcome, const std::string& words) {
  if (program.json()) {
    Console::json({{"cycle", nullptr}, {"outcome", outcome}, {"reason", words}, {"exit_code", code}});
  } else {
    Console::say(words);
  }
  return code;
}

Status remember(History& past, const std::string& project, const os::Clock& clock, bool good) {
  if (good) return past.set_backoff(project, {});
  SB_TRY(History::Backoff backoff, past.backoff(project));
  const int shift = std::min(backoff.failures, 20);
  backoff.not_before_ms = clock.unix_ms() + std::min(kFirstPauseMs << shift, kLongestPauseMs);
  ++backoff.failures;
  return past.set_backoff(project, backoff);
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(History * past, program.history());
  SB_TRY(const UniqueFd held, lock(*home));
  if (!held) return quiet(program, kBusy, "busy", "another nightly is running");
  SB_TRY(const std::vector<history::Cycle> open, past->unfinished());
  if (!open.empty()) {
    return quiet(program, kBusy, "busy",
                 fmt::format("another cycle is running: {}", history::cycle_name(open.front().id)));
  }
  SB_TRY(const Program::Project here, program.project());
  std::string branch = !options.branch.empty() ? options.branch : here.file.branch;
  if (branch.empty()) {
    SB_TRY(const staging::Repository repository, staging::Repository::open(here.root));
    SB_TRY(branch, repository.head_branch());
  }
  SB_TRY(const Subject subject, resolve_subject(program, branch));
  SB_TRY(const auto result, past->result_for_commit(subject.project.name, subject.source.commit));
  if (result) {
    return quiet(program, kDone, "nothing new",
                 fmt::format("nothing new on {}: {:.10} is {} in {}", branch, subject.source.commit,
                             history::to_string(result->status), history::cycle_name(result->id)));
  }
  SB_TRY(const History::Backoff backoff, past->backoff(subject.project.name));
  if (!options.now && backoff.not_before_ms > program.clock().unix_ms()) {
    return quiet(
        program, kDone, "waiting",
        fmt::format("waiting until {} after {} failure{} in a row; selfbuild nightly --now tries at once",
                    iso_time(backoff.not_before_ms), backoff.failures, backoff.failures == 1 ? "" : "s"));
  }
  SB_TRY(const Json rollout, rollout_json({}, subject.project.rollout));
  SB_TRY(const std::int64_t cycle, submit_update(program, subject, {}, 0, rollout, "nightly"));
  SB_TRY(const int code, follow(program, cycle, {}));
  SB_CHECK(remember(*past, subject.project.name, program.clock(), code == kDone));
  return code;
}

}  // namespace

void add_nightly(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "nightly", "Update",
      {.sentence = "Update when the branch has a commit that was never tried; for cron and timers.",
       .examples = {{"selfbuild -C /srv/hello nightly",
                     "one cycle for what is new on the branch, else nothing"},
                    {"17 3 * * * selfbuild -C /srv/hello nightly", "the line in your crontab"}},
       .changes = "what selfbuild update changes, and the pause after failures (1 h, 2 h, 4 h … 7 days)",
       .exits = {kDone, kRefused, kUsage, kRolledBack, kUnavailable, kBusy}},
      [&program, options] { return run(program, *options); });
  command
      .add_option("--branch", options->branch,
                  "The branch (default: that of selfbuild.yaml, else that of HEAD)")
      ->type_name("NAME");
  command.add_flag("--now", options->now, "Do not wait out the pause after failures");
  program.add_json_option(command);
}

}  // namespace sb::tool
