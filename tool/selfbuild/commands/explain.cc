// selfbuild explain: tells one cycle from its journal, record by record, then the verdict and what is live
// now.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/receipt.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/screen.h"
#include "tool/selfbuild/table.h"
#include "update/live.h"

namespace sb::tool {
namespace {

struct Options {
  std::string cycle;
  std::string project;
  bool timings = false;
};

bool is_open(const Ending& story) {
  return story.journal.empty() || story.journal.back().step != history::Step::done;
}

std::string heading(const Ending& story) {
  const history::Cycle& cycle = story.cycle;
  std::string text = fmt::format("{}: {} of {}", history::cycle_name(cycle.id),
                                 history::to_string(cycle.kind), cycle.project);
  if (cycle.from_version) text += fmt::format(", {} was live", history::version_name(*cycle.from_version));
  return text + fmt::format(", asked for by {} on {}", cycle.triggered_by, local_time(cycle.started_ms));
}

std::string steps(const Ending& story, const Console& console) {
  std::string text;
  for (const history::JournalRecord& record : story.journal) {
    const double seconds = static_cast<double>(record.at_ms - story.journal.front().at_ms) / 1000;
    const std::string stamp =
        console.styled(Console::Style::dim, fmt::format("{:>10}", fmt::format("+{:.1f} s", seconds)));
    // The step's name is a column of its own inside the sentence; what it says wraps beside it.
    const std::string said = sentence(record);
    const std::size_t name_width = std::min(said.size(), std::size_t{13});
    text += paragraph(fmt::format("{}  {:<13}", stamp, trim(said.substr(0, name_width))),
                      said.substr(name_width), console.columns);
  }
  return text;
}

std::string verdict(const Ending& story, std::int64_t now, const Console& console) {
  const history::Cycle& cycle = story.cycle;
  const std::string live =
      story.live ? fmt::format("{} is live now.", history::version_name(*story.live)) : "No version is live.";
  if (is_open(story)) {
    return fmt::format("The cycle is still open, {} after its start. {}\n", age(duration_ms(cycle, now)),
                       live);
  }
  const bool good = cycle.status == history::BuildStatus::completed;
  const auto style = good                                           ? Console::Style::green
                     : cycle.status == history::BuildStatus::failed ? Console::Style::red
                                                                    : Console::Style::yellow;
  const std::string why = good ? "" : reason_of(cycle);
  const std::string first = fmt::format("{} after {}", words(history::to_string(cycle.status)),
                                        human_duration(std::chrono::milliseconds(duration_ms(cycle, now))));
  return paragraph("", fmt::format("{}{}", console.styled(style, first), why.empty() ? "." : ": " + why),
                   console.columns) +
         live + '\n';
}

Json story_json(const Ending& story, std::int64_t now) {
  Json records = Json::array();
  for (const history::JournalRecord& record : story.journal) {
    records.push_back({{"seq", record.seq},
                       {"step", history::to_string(record.step)},
                       {"at", iso_time(record.at_ms)},
                       {"after_ms", record.at_ms - story.journal.front().at_ms},
                       {"sentence", sentence(record)},
                       {"detail", parse_json(record.detail).value_or(Json::object())}});
  }
  return {{"cycle", cycle_json(story.cycle, now)}, {"open", is_open(story)},
          {"live", version_or_null(story.live)},   {"receipt", receipt_of(story.journal)},
          {"records", std::move(records)},         {"timings", timings_json(timings_of(story.journal))}};
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(history::Cycle cycle, chosen_cycle(program, options.cycle, options.project));
  SB_TRY(history::History * past, program.history());
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(std::vector<history::JournalRecord> journal, past->journal(cycle.id));
  SB_TRY(const std::optional<int> live, update::live_version(*home, cycle.project));
  const Ending story{.cycle = std::move(cycle), .journal = std::move(journal), .live = live};
  const std::int64_t now = program.clock().unix_ms();
  if (program.json()) {
    Console::json(story_json(story, now));
    return kDone;
  }
  const Console& console = program.console();
  std::string text = paragraph("", heading(story), console.columns);
  const std::string title = title_of(story.cycle);
  if (!title.empty()) text += paragraph("  ", title, console.columns);
  text += '\n' + steps(story, console) + '\n' + verdict(story, now, console);
  for (const ReceiptLine& line : receipt_lines(receipt_of(story.journal))) {
    text += paragraph(fmt::format("  {:<10}", line.label), line.text, console.columns);
  }
  if (options.timings) text += "\nwhere the time went:\n" + timings_table(timings_of(story.journal));
  Console::data(text);
  return kDone;
}

}  // namespace

void add_explain(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("explain", "Look",
                  {.sentence = "Tell what happened in one cycle, step by step.",
                   .examples = {{"selfbuild explain c-12", "from its journal, which survives every crash"},
                                {"selfbuild explain --timings", "the newest cycle, and where its time went"}},
                   .changes = "nothing",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.add_option("CYCLE", options->cycle, "A cycle, like c-12 (default: the newest)")->type_name("");
  command.add_flag("--timings", options->timings, "Add a table of where the time went");
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace sb::tool
