// selfbuild show: what one version is made of, where it comes from, and what became of it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/receipt.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/table.h"
#include "update/live.h"

namespace sb::tool {
namespace {

constexpr std::size_t kDigestShown = 16;  // of the files; --json has all of it

struct Options {
  std::string version;
  std::string project;
};

std::string next_command(const history::Version& version, bool live, bool has_live) {
  const std::string name = history::version_name(version.number);
  switch (version.state) {
    case history::VersionState::rejected:
    case history::VersionState::rolled_back:
      return "selfbuild explain " + history::cycle_name(version.cycle);
    default:
      break;
  }
  if (live) return "selfbuild history";
  if (version.outputs.empty()) return "selfbuild update " + version.commit;
  const bool was_in_service = version.state == history::VersionState::known_good;
  return fmt::format("selfbuild {} {}", was_in_service && has_live ? "rollback" : "promote", name);
}

std::string options_line(const std::string& options) {
  const Result<Json> value = parse_json(options);
  if (!value || !value->is_object()) return options;
  std::vector<std::string> parts;
  for (const auto& [key, item] : value->items()) {
    const std::string text = item.is_string() ? item.get<std::string>() : dump_json(item);
    if (!text.empty() && text != "[]") parts.push_back(fmt::format("{} {}", key, text));
  }
  return join(parts, "; ");
}

// Of the newest cycle that put this version into service, or tried to; null when none did.
Result<Json> newest_receipt(history::History& past, const history::Version& version) {
  SB_TRY(const std::vector<history::Cycle> cycles, past.cycles(version.project));
  for (const history::Cycle& cycle : cycles) {
    if (cycle.version != version.number) continue;
    SB_TRY(const std::vector<history::JournalRecord> journal, past.journal(cycle.id));
    Json receipt = receipt_of(journal);
    if (!receipt.is_null()) return receipt;
  }
  return Json(nullptr);
}

std::string page(const history::Version& version, bool live, const Json& receipt, const Console& console) {
  std::string text = fmt::format("{} {}: {}{}\n", version.project,
                                 console.styled(Console::Style::bold, history::version_name(version.number)),
                                 live ? console.styled(Console::Style::green, "live") + ", " : "",
                                 words(history::to_string(version.state)));
  const auto row = [&](std::string_view label, const std::string& value) {
    if (!value.empty()) text += paragraph(fmt::format("  {:<10}", label), value, console.columns);
  };
  row("why", version.state_reason);
  row("built", fmt::format("{} by {}, asked for by {}", local_time(version.created_ms),
                           history::cycle_name(version.cycle), version.requested_by));
  row("commit", version.commit);
  row("tree", version.tree);
  row("patch", version.patch_sha256);
  row("compiler", version.compiler);
  row("options", options_line(version.options));
  row("tests", version.test_results);
  row("digest", version.digest);
  for (const ReceiptLine& line : receipt_lines(receipt)) row(line.label, line.text);
  text += '\n';
  if (version.outputs.empty()) return text + "Its files were removed by gc; what is written here stays.\n";
  Table files({{"FILE"}, {"SIZE", Table::Align::right}, {"MODE"}, {"SHA-256"}});
  for (const history::OutputFile& output : version.outputs) {
    files.add({output.path, human_bytes(output.object.size), fmt::format("{:04o}", output.mode),
               output.sha256.substr(0, kDigestShown)});
  }
  return text + files.render(console.out_is_terminal ? console.columns : 0);
}

Result<int> run(Program& program, const Options& options) {
  Result<int> parsed = history::parse_version(options.version);
  if (!parsed) {
    parsed.error().next = "selfbuild history";
    return fail(std::move(parsed.error()));
  }
  const int number = *parsed;
  SB_TRY(const std::string project, program.project_name(options.project));
  SB_TRY(history::History * past, program.history());
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(const history::Version version, past->version(project, number));
  SB_TRY(const std::optional<int> live_number, update::live_version(*home, project));
  const bool live = live_number == number;
  const std::string next = next_command(version, live, live_number.has_value());
  SB_TRY(const Json receipt, newest_receipt(*past, version));
  if (program.json()) {
    Json value = version_json(version);
    value["live"] = live;
    value["next"] = next;
    value["receipt"] = receipt;
    Console::json(value);
    return kDone;
  }
  Console::data(page(version, live, receipt, program.console()));
  Console::say("\nnext:\n  " + next);
  return kDone;
}

}  // namespace

void add_show(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add("show", "Look",
                  {.sentence = "Show one version: its files, where it comes from, and its fate.",
                   .examples = {{"selfbuild show v3", "version 3 of the project around the current folder"},
                                {"selfbuild show v3 --json", "for a script: .digest, .outputs[].sha256"}},
                   .changes = "nothing",
                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                  [&program, options] { return run(program, *options); });
  command.add_option("VERSION", options->version, "A version, like v3")->required()->type_name("");
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace sb::tool
