// selfbuild history: every attempt, newest first, with its reason.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/table.h"
#include "update/live.h"

namespace sb::tool {
namespace {

// A narrower terminal gives the reason a line of its own.
constexpr int kOneLineFrom = 110;

struct Options {
  std::string project;
  int limit = 20;
};

Console::Style style_of(history::BuildStatus status) {
  switch (status) {
    case history::BuildStatus::completed:
      return Console::Style::green;
    case history::BuildStatus::failed:
      return Console::Style::red;
    case history::BuildStatus::rolled_back:
      return Console::Style::yellow;
    default:
      return Console::Style::bold;
  }
}

// Only the newest cycle that put the live version into service is marked: the version has others, which
// ended.
std::optional<std::int64_t> cycle_of_live(const std::vector<history::Cycle>& cycles,
                                          std::optional<int> live) {
  for (const history::Cycle& cycle : cycles) {
    if (live && cycle.version == live && cycle.status == history::BuildStatus::completed) return cycle.id;
  }
  return std::nullopt;
}

std::string table_of(const Program& program, const std::vector<history::Cycle>& cycles,
                     std::optional<std::int64_t> live_cycle) {
  const Console& console = program.console();
  const std::int64_t now = program.clock().unix_ms();
  const bool one_line = !console.out_is_terminal || console.columns >= kOneLineFrom;
  std::vector<Table::Column> columns = {
      {"CYCLE"}, {"WHEN"}, {"KIND"}, {"VERSION"}, {"STATUS"}, {"SECONDS", Table::Align::right}, {"BY"}};
  if (one_line) columns.push_back({"REASON"});
  Table table(std::move(columns));
  for (const history::Cycle& cycle : cycles) {
    std::string version = cycle.version ? history::version_name(*cycle.version) : "-";
    if (cycle.id == live_cycle) {
      version = console.styled(Console::Style::bold, fmt::format("{} live", version));
    }
    std::vector<std::string> cells = {
        history::cycle_name(cycle.id),
        short_time(cycle.started_ms, now),
        std::string(history::to_string(cycle.kind)),
        std::move(version),
        console.styled(style_of(cycle.status), words(history::to_string(cycle.status))),
        cycle.completed_ms ? fmt::format("{:.1f}", static_cast<double>(duration_ms(cycle, now)) / 1000) : "-",
        cycle.triggered_by};
    const std::string reason = reason_of(cycle);
    if (one_line) {
      const int used = 75 + width_of(cycle.triggered_by);
      cells.push_back(console.out_is_terminal ? cut_to_columns(reason, std::max(20, console.columns - used))
                                              : reason);
    }
    table.add(std::move(cells), one_line ? "" : reason);
  }
  return table.render(console.out_is_terminal ? console.columns : 0);
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const std::string project, program.project_name(options.project));
  SB_TRY(history::History * past, program.history());
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(const std::vector<history::Cycle> cycles, past->cycles(project));
  SB_TRY(const std::optional<int> live, update::live_version(*home, project));
  const std::optional<std::int64_t> live_cycle = cycle_of_live(cycles, live);
  const std::size_t shown = std::min(cycles.size(), static_cast<std::size_t>(options.limit));
  const std::vector<history::Cycle> newest(cycles.begin(),
                                           cycles.begin() + static_cast<std::ptrdiff_t>(shown));
  if (program.json()) {
    Json list = Json::array();
    for (const history::Cycle& cycle : newest) {
      Json value = cycle_json(cycle, program.clock().unix_ms());
      value["live"] = cycle.id == live_cycle;
      list.push_back(std::move(value));
    }
    Console::json({{"project", project},
                   {"live", version_or_null(live)},
                   {"cycles_in_all", cycles.size()},
                   {"cycles", std::move(list)}});
    return kDone;
  }
  if (cycles.empty()) {
    Console::say(fmt::format("{} has no history yet.\n\nnext:\n  selfbuild update", project));
    return kDone;
  }
  Console::data(table_of(program, newest, live_cycle));
  if (shown < cycles.size()) {
    Console::say(fmt::format("{} older; selfbuild history --limit {}", cycles.size() - shown, cycles.size()));
  }
  return kDone;
}

}  // namespace

void add_history(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("history", "Look",
                  {.sentence = "Show every attempt, newest first, and why it ended as it did.",
                   .examples = {{"selfbuild history", "the project around the current folder"},
                                {"selfbuild history --project hello --limit 100", "from anywhere"},
                                {"selfbuild history --json", "for a script: .cycles[0].status"}},
                   .changes = "nothing",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  command.add_option("--limit", options->limit, "At most so many attempts")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  program.add_json_option(command);
}

}  // namespace sb::tool
