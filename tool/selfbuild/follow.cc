#include "tool/selfbuild/follow.h"

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/progress_line.h"
#include "update/conductor_link.h"
#include "update/live.h"

namespace sb::tool {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPoll{50};
constexpr milliseconds kAskConductor{1000};

std::atomic<bool> interrupted{false};

// Ctrl-C while following leaves the cycle alone.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = false;
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    ::sigaction(SIGINT, &action, &before_);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_{};
};

// The lines that were added to a file since the last look.
class Tail {
 public:
  explicit Tail(std::filesystem::path path) : path_(std::move(path)) {}
  std::vector<std::string> new_lines() {
    if (!file_.is_open()) file_.open(path_);
    std::vector<std::string> lines;
    file_.clear();
    char block[4096];
    while (file_.read(block, sizeof block) || file_.gcount() > 0) {
      rest_.append(block, static_cast<std::size_t>(file_.gcount()));
    }
    std::size_t end = 0;
    while ((end = rest_.find('\n')) != std::string::npos) {
      lines.push_back(rest_.substr(0, end));
      rest_.erase(0, end + 1);
    }
    return lines;
  }

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::string rest_;
};

class Follower {
 public:
  Follower(Program& program, const os::Home& home, history::History& history, std::int64_t cycle)
      : program_(program),
        history_(history),
        cycle_(cycle),
        link_(home),
        tail_(home.cycle(cycle) / "progress.jsonl"),
        line_(stderr, program.console().err_is_terminal, program.console().columns) {}

  Status until_done() {
    os::Milliseconds asked = program_.clock().monotonic();
    while (!interrupted) {
      show_progress();
      SB_TRY(const bool done, show_journal());
      if (done) return {};
      if (program_.clock().monotonic() - asked > kAskConductor) {
        asked = program_.clock().monotonic();
        SB_CHECK(look_after_the_conductor());
      }
      std::this_thread::sleep_for(kPoll);
    }
    return fail(ErrorKind::interrupted,
                fmt::format("{} goes on without this terminal", history::cycle_name(cycle_)),
                "selfbuild explain " + history::cycle_name(cycle_));
  }

 private:
  Result<bool> show_journal() {
    SB_TRY(const std::vector<history::JournalRecord> journal, history_.journal(cycle_));
    for (const history::JournalRecord& record : journal) {
      if (record.seq <= seen_) continue;
      seen_ = record.seq;
      line_.finish();
      if (record.step != history::Step::done) Console::say(cut_to_columns(sentence(record), width()));
      if (record.step == history::Step::done) return true;
      const std::string limits = unenforced_limits(record);
      if (!limits.empty()) Console::say(fmt::format("{:<13}{}", "limits", limits));
    }
    return false;
  }

  void show_progress() {
    for (const std::string& text : tail_.new_lines()) {
      const Json event = parse_json(text).value_or(Json::object());
      const std::string kind = json_string_or(event, "event", "").value_or("");
      if (kind == "say") {
        line_.finish();
        Console::say(json_string_or(event, "text", "").value_or(""));
      } else if (kind == "build") {
        line_.update({.phase = json_string_or(event, "phase", "").value_or("") == "configuring"
                                   ? build::Progress::Phase::configuring
                                   : build::Progress::Phase::building,
                      .done = static_cast<int>(json_integer_or(event, "done", 0).value_or(0)),
                      .total = static_cast<int>(json_integer_or(event, "total", 0).value_or(0)),
                      .edge = json_string_or(event, "edge", "").value_or("")});
      }
    }
  }

  // A conductor that was killed comes back; a worker that cannot start is said, not waited for in silence.
  Status look_after_the_conductor() {
    SB_CHECK(link_.start_if_needed());
    if (seen_queued_warning_) return {};
    SB_TRY(const std::optional<history::JournalRecord> last, history_.last_record(cycle_));
    if (!last || last->step != history::Step::planned) return {};
    const Result<Json> status = link_.call("conductor.status", Json::object());
    if (!status) return {};
    for (const Json& service : status->value("services", Json::array())) {
      const std::string state = json_string_or(service, "state", "").value_or("");
      if (service.value("name", "") != "worker" || state == "running" || state == "starting") continue;
      seen_queued_warning_ = true;
      Console::say(fmt::format("waiting for the worker, which is {}: {}", state,
                               json_string_or(service, "last_exit", "").value_or("")));
    }
    return {};
  }

  [[nodiscard]] int width() const {
    return program_.console().err_is_terminal ? program_.console().columns : 1000;
  }

  Program& program_;
  history::History& history_;
  std::int64_t cycle_;
  update::ConductorLink link_;
  Tail tail_;
  build::ProgressLine line_;
  std::int64_t seen_ = 0;
  bool seen_queued_warning_ = false;
};

}  // namespace

Result<Ending> ending_of(Program& program, std::int64_t cycle) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  Ending ending;
  SB_TRY(ending.cycle, past->cycle(cycle));
  SB_TRY(ending.journal, past->journal(cycle));
  SB_TRY(ending.live, update::live_version(*home, ending.cycle.project));
  return ending;
}

Result<int> follow(Program& program, std::int64_t cycle, const FollowOptions& options) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  {
    const InterruptGuard guard;
    SB_CHECK(Follower(program, *home, *past, cycle).until_done());
  }
  SB_TRY(const Ending ending, ending_of(program, cycle));
  SB_CHECK(past->sync());  // before it is told
  if (program.json()) {
    Console::json(ending_json(ending));
  } else {
    Console::data("\n" + ending_screen(ending, program.console()));
    if (options.timings) Console::data("\n" + timings_table(timings_of(ending.journal)));
  }
  return exit_code_of(ending);
}

}  // namespace sb::tool
