#include "tool/selfbuild/screen.h"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "update/update_cycle.h"

namespace sb::tool {
namespace {

using history::BuildStatus;
using history::JournalRecord;
using history::Step;
using std::chrono::milliseconds;

Json detail_of(const JournalRecord& record) {
  return parse_json(record.detail).value_or(Json::object());
}

std::string text(const Json& detail, std::string_view key) {
  return json_string_or(detail, key, "").value_or("");
}
std::int64_t number(const Json& detail, std::string_view key) {
  return json_integer_or(detail, key, 0).value_or(0);
}
std::string duration(const Json& detail, std::string_view key) {
  return human_duration(milliseconds(number(detail, key)));
}

std::string joined(const Json& detail, const char* key) {
  std::vector<std::string> words;
  for (const Json& word : detail.value(key, Json::array())) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  return join(words, ", ");
}

std::string version_or_none(std::int64_t version) {
  return version > 0 ? history::version_name(static_cast<int>(version)) : "none";
}

bool from_history(const Json& built) {
  return json_bool_or(built, "from_history", false).value_or(false);
}

std::string built_sentence(const Json& detail) {
  if (from_history(detail)) {
    return fmt::format("nothing: this tree is {}, taken from history",
                       version_or_none(number(detail, "version")));
  }
  std::string line = fmt::format("{} of {} edges in {}", number(detail, "edges_run"),
                                 number(detail, "edges_total"), duration(detail, "ninja_ms"));
  if (number(detail, "edges_cached") > 0)
    line += fmt::format(", {} from the cache", number(detail, "edges_cached"));
  if (json_bool_or(detail, "configured", false).value_or(false)) {
    line += fmt::format("; configured in {} ({})", duration(detail, "configure_ms"),
                        text(detail, "configure_reason"));
  }
  return line;
}

std::string what_happened(const JournalRecord& record, const Json& detail) {
  switch (record.step) {
    case Step::planned:
      return text(detail, "title");
    case Step::staging: {
      const std::string patch = text(detail, "patch");
      return fmt::format("commit {:.10}{}", text(detail, "commit"), patch.empty() ? "" : " with " + patch);
    }
    case Step::staged:
      return fmt::format("slot {}: {} files written, {} removed{}", number(detail, "slot"),
                         number(detail, "written"), number(detail, "removed"),
                         json_bool_or(detail, "recovered", false).value_or(false) ? ", repaired first" : "");
    case Step::building:
      return text(detail, "preset").empty() ? "" : "preset " + text(detail, "preset");
    case Step::built:
      return built_sentence(detail);
    case Step::testing:
      return "in the sandbox";
    case Step::tested:
      return text(detail, "summary");
    case Step::probing:
      return version_or_none(number(detail, "version")) + " on sockets of its own";
    case Step::probed:
      return fmt::format("ready and healthy in {}", duration(detail, "ms"));
    case Step::swapping:
      return number(detail, "from") > 0 ? fmt::format("{} to {}", version_or_none(number(detail, "from")),
                                                      version_or_none(number(detail, "to")))
                                        : version_or_none(number(detail, "to")) + " is the first";
    case Step::started:
      return joined(detail, "services") + " ready and healthy";
    case Step::pointed:
      return version_or_none(number(detail, "version")) + " is live";
    case Step::verifying:
      return "for " + duration(detail, "probation_ms");
    case Step::done:
      return text(detail, "outcome");
    case Step::rejected:
    case Step::failed: {
      const std::string cause = text(detail, "cause");
      return cause.empty() ? text(detail, "what") : cause;
    }
    default: {
      // The conductor's records say it in words of their own, where there is something to say.
      for (const std::string_view key : {"cause", "text", "service", "health"}) {
        if (!text(detail, key).empty()) return text(detail, key);
      }
      return {};
    }
  }
}

}  // namespace

std::string unenforced_limits(const JournalRecord& record) {
  const Json detail = detail_of(record);
  const Json limits = detail.value("limits", Json(nullptr));
  const std::string line = limits.is_string() ? limits.get<std::string>() : joined(detail, "limits");
  const bool weak =
      line.find("advisory") != std::string::npos || line.find("unavailable") != std::string::npos;
  return weak ? line : "";
}

namespace {

const JournalRecord* find(const std::vector<JournalRecord>& journal, Step step) {
  // The newest: a cycle that was interrupted has some steps more than once.
  const auto newest_first = journal | std::views::reverse;
  const auto found = std::ranges::find(newest_first, step, &JournalRecord::step);
  return found == newest_first.end() ? nullptr : &*found;
}

Json detail_of(const std::vector<JournalRecord>& journal, Step step) {
  const JournalRecord* record = find(journal, step);
  return record == nullptr ? Json::object() : detail_of(*record);
}

std::int64_t between(const JournalRecord* from, const JournalRecord* to) {
  return from != nullptr && to != nullptr ? std::max<std::int64_t>(0, to->at_ms - from->at_ms) : 0;
}

// "v1 is still live and was not touched."
std::string live_line(const Ending& ending) {
  if (!ending.live) return "No version is live.";
  return fmt::format("{} is live{}.", history::version_name(*ending.live),
                     ending.cycle.status == BuildStatus::failed ? " and was not touched" : "");
}

std::string indented(std::string_view block) {
  std::string result;
  for (const std::string_view line : split_lines(block)) result += fmt::format("  {}\n", line);
  return result;
}

std::string good_screen(const Ending& ending, const Console& console) {
  const Json done = detail_of(ending.journal, Step::done);
  const std::string version =
      ending.cycle.version ? history::version_name(*ending.cycle.version) : "the version";
  if (text(done, "outcome") == "answered from history") {
    return fmt::format("This tree is {} already: nothing was built.\n{}\n", version, live_line(ending));
  }
  std::string screen = console.styled(Console::Style::green, fmt::format("{} is live", version));
  if (ending.cycle.from_version)
    screen += fmt::format(" (was {})", history::version_name(*ending.cycle.from_version));
  screen += ".\n";
  if (from_history(detail_of(ending.journal, Step::built))) {
    screen += "  built   nothing: this version was taken from history\n";
  }
  if (!ending.cycle.test_results.empty()) screen += fmt::format("  tests   {}\n", ending.cycle.test_results);
  if (!ending.cycle.health_check_result.empty()) {
    screen += fmt::format("  health  {}\n", ending.cycle.health_check_result);
  }
  return screen;
}

std::string bad_screen(const Ending& ending, const Console& console) {
  const bool rolled_back = ending.cycle.status == BuildStatus::rolled_back;
  const JournalRecord* verdict = find(ending.journal, Step::rejected);
  const bool rejected = verdict != nullptr;
  if (verdict == nullptr) verdict = find(ending.journal, rolled_back ? Step::rolled_back : Step::failed);
  Error error = verdict == nullptr ? make_error(ErrorKind::refused, ending.cycle.failure)
                                   : update::error_from_json(detail_of(*verdict));
  if (error.what.empty()) {
    error.what = rolled_back ? ending.cycle.rollback_reason : ending.cycle.failure;
  }
  const std::string word = rolled_back ? "rolled back" : rejected ? "rejected" : "failed";
  const auto style = rolled_back ? Console::Style::yellow : Console::Style::red;
  std::string screen =
      fmt::format("{}: {}\n{}\n", console.styled(style, word), error.what, live_line(ending));
  if (!error.while_doing.empty()) screen += '\n';
  for (const std::string& line : error.while_doing) screen += fmt::format("  while {}\n", line);
  if (!error.expected.empty() || !error.found.empty()) {
    screen += fmt::format("\n  expected  {}\n  found     {}\n", error.expected, error.found);
  }
  // One screen: what is longer is in the log.
  if (!error.log.empty()) screen += '\n' + indented(last_lines(error.log, 24));
  screen += fmt::format("\nnext:\n  {}\n", !error.next.empty() ? error.next
                                           : rolled_back
                                               ? "selfbuild explain " + history::cycle_name(ending.cycle.id)
                                               : "selfbuild log " + history::cycle_name(ending.cycle.id));
  return screen;
}

}  // namespace

std::string sentence(const JournalRecord& record) {
  const std::string said = what_happened(record, detail_of(record));
  std::string name(history::to_string(record.step));
  std::ranges::replace(name, '_', ' ');
  return said.empty() ? name : fmt::format("{:<13}{}", name, said);
}

Timings timings_of(const std::vector<JournalRecord>& journal) {
  Timings t;
  t.stage = number(detail_of(journal, Step::staged), "ms");
  t.configure = number(detail_of(journal, Step::built), "configure_ms");
  t.ninja = number(detail_of(journal, Step::built), "ninja_ms");
  t.tests = number(detail_of(journal, Step::tested), "ms");
  t.store = number(detail_of(journal, Step::probing), "store_ms");
  t.probe = number(detail_of(journal, Step::probed), "ms");
  const JournalRecord* verifying = find(journal, Step::verifying);
  const JournalRecord* verdict = find(journal, Step::kept);
  if (verdict == nullptr) verdict = find(journal, Step::rolled_back);
  t.swap = between(find(journal, Step::swapping), verifying != nullptr ? verifying : verdict);
  t.verify = between(verifying, verdict);
  const JournalRecord* first = find(journal, Step::staging);
  t.total = between(first != nullptr ? first : find(journal, Step::swapping),
                    journal.empty() ? nullptr : &journal.back());
  t.other = t.total - t.stage - t.configure - t.ninja - t.tests - t.store - t.probe - t.swap - t.verify;
  return t;
}

namespace {
constexpr std::pair<const char*, std::int64_t Timings::*> kPhases[] = {
    {"stage", &Timings::stage}, {"configure", &Timings::configure}, {"ninja", &Timings::ninja},
    {"tests", &Timings::tests}, {"store", &Timings::store},         {"probe", &Timings::probe},
    {"swap", &Timings::swap},   {"verify", &Timings::verify},       {"other", &Timings::other},
    {"total", &Timings::total}};
}  // namespace

std::string timings_table(const Timings& timings) {
  std::string table;
  for (const auto& [name, member] : kPhases)
    table += fmt::format("  {:<10}{:>9} ms\n", name, timings.*member);
  return table;
}

Json timings_json(const Timings& timings) {
  Json value = Json::object();
  for (const auto& [name, member] : kPhases) value[fmt::format("{}_ms", name)] = timings.*member;
  return value;
}

int exit_code_of(const Ending& ending) {
  switch (ending.cycle.status) {
    case BuildStatus::completed:
      return kDone;
    case BuildStatus::rolled_back:
      return kRolledBack;
    default:
      return kRefused;
  }
}

std::string ending_screen(const Ending& ending, const Console& console) {
  return ending.cycle.status == BuildStatus::completed ? good_screen(ending, console)
                                                       : bad_screen(ending, console);
}

Json ending_json(const Ending& ending) {
  const Json built = detail_of(ending.journal, Step::built);
  const auto name_of = [](std::optional<int> version) {
    return version ? Json(history::version_name(*version)) : Json(nullptr);
  };
  return {{"cycle", history::cycle_name(ending.cycle.id)},
          {"project", ending.cycle.project},
          {"status", history::to_string(ending.cycle.status)},
          {"outcome", text(detail_of(ending.journal, Step::done), "outcome")},
          {"version", name_of(ending.cycle.version)},
          {"from", name_of(ending.cycle.from_version)},
          {"live", name_of(ending.live)},
          {"reason", ending.cycle.status == BuildStatus::rolled_back ? ending.cycle.rollback_reason
                                                                     : ending.cycle.failure},
          {"from_history", from_history(built)},
          {"edges_run", number(built, "edges_run")},
          {"edges_cached", number(built, "edges_cached")},
          {"edges_shareable", number(built, "edges_shareable")},
          {"edges_own", number(built, "edges_own")},
          {"edges_total", number(built, "edges_total")},
          {"tests", ending.cycle.test_results},
          {"health", ending.cycle.health_check_result},
          {"timings", timings_json(timings_of(ending.journal))},
          {"exit_code", exit_code_of(ending)}};
}

}  // namespace sb::tool
