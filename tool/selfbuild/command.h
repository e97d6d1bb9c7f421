// Program: what all commands share. A command is one file in commands/: it adds its options and its
// documentation here, and a function that runs it and returns the exit code.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/home.h"
#include "project/project_file.h"
#include "staging/stage_pool.h"
#include "tool/selfbuild/console.h"

namespace sb::tool {

// Few and documented; `selfbuild help` prints them.
enum Exit : int {
  kDone = 0,
  kRefused = 1,  // refused or failed; the live version is untouched
  kUsage = 2,
  kRolledBack = 3,   // swapped, and rolled back
  kUnavailable = 4,  // the conductor or the host is not available
  kBusy = 5,         // another cycle is running
  kBug = 70,
  kInterrupted = 130,
};
[[nodiscard]] int exit_code_of(ErrorKind kind);

// What `selfbuild help NAME` says beyond the options, which come from CLI11.
struct Manual {
  std::string sentence;                                       // "Show every attempt, newest first."
  std::vector<std::pair<std::string, std::string>> examples;  // command, what it does
  std::string changes;                                        // what it changes on disk; "nothing" when so
  std::vector<int> exits;                                     // which of the codes above it can return
};

class Program {
 public:
  Program();

  using Action = std::function<Result<int>()>;
  // group: "Update" (init build test update promote rollback nightly), "Look" (status history show log
  // logs explain audit), "Keep" (gc cache doctor conductor worker), "Help" (help completions).
  CLI::App& add(const std::string& name, const std::string& group, Manual manual, Action action);
  // Adds --json to a reading command, bound to json().
  void add_json_option(CLI::App& command);

  int run(int argc, char** argv);

  [[nodiscard]] CLI::App& app() { return app_; }
  [[nodiscard]] const Console& console() const { return console_; }
  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] const os::Clock& clock() const { return clock_; }
  [[nodiscard]] std::filesystem::path directory() const;  // -C, else the current one

  // Opened on first use; their errors are what the command returns.
  [[nodiscard]] Result<const os::Home*> home();
  [[nodiscard]] Result<history::History*> history();

  // The project around directory(), read from the work tree.
  struct Project {
    std::filesystem::path root;
    project::ProjectFile file;
  };
  [[nodiscard]] Result<Project> project() const;
  // The name of the project around directory(); without one, of the only project in history. usage when
  // ambiguous. Commands that only read history take --project and pass it here.
  [[nodiscard]] Result<std::string> project_name(const std::string& given);

  [[nodiscard]] const std::vector<std::pair<std::string, Manual>>& manuals() const { return manuals_; }
  [[nodiscard]] std::string help_page(const std::string& command);  // the page of one command
  [[nodiscard]] std::string overview();                             // the page of all commands

 private:
  CLI::App app_{"selfbuild"};
  Console console_ = Console::detect();
  bool json_ = false;
  bool help_ = false;
  std::string directory_;
  os::SystemClock clock_;
  std::optional<os::Home> home_;
  std::optional<history::History> history_;
  std::vector<std::pair<std::string, Manual>> manuals_;
  Action chosen_;
};

// One per file in commands/.
void add_init(Program& program);
void add_build(Program& program);
void add_test(Program& program);
void add_update(Program& program);
void add_promote(Program& program);
void add_rollback(Program& program);
void add_hold(Program& program);  // pause, resume, abort
void add_pin(Program& program);   // pin, unpin, mark-good
void add_nightly(Program& program);
void add_status(Program& program);
void add_history(Program& program);
void add_show(Program& program);
void add_log(Program& program);
void add_logs(Program& program);
void add_audit(Program& program);
void add_explain(Program& program);
void add_gc(Program& program);
void add_cache(Program& program);
void add_doctor(Program& program);
void add_conductor(Program& program);
void add_worker(Program& program);
void add_help(Program& program);
void add_completions(Program& program);

}  // namespace sb::tool
