// selfbuild status: what is running now, and what is being done about it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/held_signals.h"
#include "tool/selfbuild/overview.h"

namespace sb::tool {
namespace {

constexpr std::string_view kStart = "selfbuild conductor start";

int terminal_rows() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 24;
}

// Rewrites in place: every line clears what stood behind it, and the end clears what stood below; nothing
// flickers.
void redraw(std::string_view screen) {
  std::string text = "\x1b[H";
  int rows = terminal_rows();
  for (const std::string_view line : split_lines(screen)) {
    if (--rows <= 0) break;
    text += fmt::format("{}\x1b[K\n", line);
  }
  Console::data(text + "\x1b[J");
}

Result<int> watch_terminal(Program& program) {
  const HeldSignals signals;
  Console::data("\x1b[2J");
  while (true) {
    SB_TRY(const Overview overview, look(program));
    const Console console = Console::detect();  // the window may have another size by now
    const std::int64_t now = program.clock().unix_ms();
    redraw(overview_screen(overview, console, now));
    if (signals.came()) {
      Console::data("\n");  // the shell goes on below
      return kInterrupted;
    }
  }
}

Result<int> watch_pipe(Program& program) {
  const HeldSignals signals;
  std::string before;
  while (true) {
    SB_TRY(const Overview overview, look(program));
    std::string line = dump_json(overview_json(overview));
    if (line != before) Console::data(line + '\n');
    before = std::move(line);
    if (signals.came()) return kInterrupted;
  }
}

Result<int> run(Program& program, bool watch) {
  if (watch)
    return program.console().out_is_terminal && !program.json() ? watch_terminal(program)
                                                                : watch_pipe(program);
  SB_TRY(const Overview overview, look(program));
  if (program.json()) {
    Console::json(overview_json(overview));
  } else {
    Console console = program.console();
    if (!console.out_is_terminal) console.columns = 1000;
    Console::data(overview_screen(overview, console, program.clock().unix_ms()));
    if (!overview.conductor) Console::say(fmt::format("\nnext:\n  {}", kStart));
  }
  return overview.conductor ? kDone : kUnavailable;
}

}  // namespace

void add_status(Program& program) {
  auto watch = std::make_shared<bool>(false);
  CLI::App& command = program.add(
      "status", "Look",
      {.sentence = "Show what is live, which services run, and what goes on.",
       .examples = {{"selfbuild status", "once; exit code 4 when the conductor does not run"},
                    {"selfbuild status --watch", "redrawn every second until Ctrl-C"},
                    {"selfbuild status --watch | tee log", "in a pipe: a line of JSON for every change"}},
       .changes = "nothing",
       .exits = {kDone, kUsage, kUnavailable, kInterrupted}},
      [&program, watch] { return run(program, *watch); });
  command.add_flag("--watch", *watch, "Keep showing it, until Ctrl-C");
  program.add_json_option(command);
}

}  // namespace sb::tool
