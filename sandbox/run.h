// Runs one untrusted command inside an envelope: builds, tests, candidates. The only code that confines.
//
// What holds everywhere: an own session and process group under an init of its own that reaps every
// descendant and kills what is left when the command ends, when it is stopped, or when the caller dies (also
// by SIGKILL); a cleared environment; no inherited descriptor but 0 (/dev/null), 1, 2 and the sockets that
// were asked for. What depends on the host is said in the Grant, before the start.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/envelope.h"
#include "sandbox/view.h"

namespace sb::sandbox {

struct Command {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"; exactly these
  std::string directory;
  std::vector<int> sockets{};               // become 3, 4, …, announced by LISTEN_FDS
  std::vector<std::string> socket_names{};  // LISTEN_FDNAMES
  std::optional<View> view{};               // argv and directory are as seen in it
};

// Called with pieces of the merged output as they come, from the thread that waits.
using OutputSink = std::function<void(std::string_view)>;

struct Report {
  int exit_code = 0;  // meaningful when signal is 0
  int signal = 0;
  LimitHit limit = LimitHit::none;
  bool stopped = false;  // ended by the stop token or stop()
  Grant grant;
  Usage usage;
  [[nodiscard]] bool ok() const {
    return exit_code == 0 && signal == 0 && limit == LimitHit::none && !stopped;
  }
  [[nodiscard]] std::string to_string()
      const;  // "exit code 1", "killed by SIGSEGV", "over its wall time of 10 s", …
  [[nodiscard]] std::string ending() const;  // only how the command itself ended: one of the first two
};

// What this host can enforce for an envelope: computed by trying, printed by `selfbuild doctor`.
[[nodiscard]] Grant survey(const Envelope& envelope);

// A command that runs. Destroying it kills the whole tree.
class Running {
 public:
  Running(Running&&) noexcept;
  Running& operator=(Running&&) noexcept;
  ~Running();
  [[nodiscard]] pid_t pid() const;  // of the command itself (not of the init)
  [[nodiscard]] const Grant& grant() const;
  // Pumps output until the command ends or the deadline passes; nothing when it still runs.
  [[nodiscard]] std::optional<Report> wait_for(std::chrono::milliseconds timeout, const OutputSink& sink);
  // SIGTERM to the command alone, as a supervisor does, and nothing else; once.
  void terminate();
  // SIGTERM to the group, unless it was terminated already, then SIGKILL to every descendant after grace.
  [[nodiscard]] Report stop(std::chrono::milliseconds grace, const OutputSink& sink);

 private:
  friend Result<Running> start(const Command&, const Envelope&);
  friend Result<Report> run(const Command&, const Envelope&, const OutputSink&, const std::stop_token&);
  struct State;
  explicit Running(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Errors: environment (program missing, no permission to start anything).
[[nodiscard]] Result<Running> start(const Command& command, const Envelope& envelope);

// start, wait, report. A request on stop ends the run (Report::stopped).
[[nodiscard]] Result<Report> run(const Command& command, const Envelope& envelope, const OutputSink& sink,
                                 const std::stop_token& stop = {});

// The environment that builds and tests get: PATH, LANG, HOME (a throw-away folder), TMPDIR, and TERM=dumb.
[[nodiscard]] std::vector<std::string> clean_environment(const std::string& home_folder);

}  // namespace sb::sandbox
