// selfbuild audit: who had the conductor change what, and whether that record is still what was written.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "audit/audit_log.h"
#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

struct Options {
  std::int64_t limit = 50;
  bool verify = false;
};

Json row_json(const audit::Row& row) {
  return {{"seq", row.seq},
          {"at", iso_time(row.entry.at_ms)},
          {"uid", row.entry.uid < 0 ? Json(nullptr) : Json(row.entry.uid)},
          {"pid", row.entry.pid == 0 ? Json(nullptr) : Json(row.entry.pid)},
          {"via", row.entry.via},
          {"act", row.entry.act},
          {"subject", row.entry.subject},
          {"outcome", row.entry.outcome},
          {"hash", row.hash}};
}

Result<int> verify(const Program& program, audit::AuditLog& log) {
  SB_TRY(const audit::Verdict verdict, log.verify());
  if (program.json()) {
    Console::json({{"good", !verdict.bad.has_value()},
                   {"first", verdict.first},
                   {"last", verdict.last},
                   {"hash", verdict.hash},
                   {"bad_row", verdict.bad ? Json(verdict.bad->seq) : Json(nullptr)},
                   {"why", verdict.bad ? Json(verdict.bad->why) : Json(nullptr)}});
    return verdict.bad ? kRefused : kDone;
  }
  if (verdict.bad) {
    Console::say(fmt::format("row {} of the audit log is bad: {}", verdict.bad->seq, verdict.bad->why));
    return kRefused;
  }
  if (verdict.last == 0) {
    Console::data("the audit log is good: nothing was recorded yet\n");
  } else {
    Console::data(fmt::format("the audit log is good: rows {} to {}, ending with {}\n", verdict.first,
                              verdict.last, verdict.hash));
  }
  return kDone;
}

Result<int> show(const Program& program, audit::AuditLog& log, std::int64_t limit) {
  SB_TRY(const std::vector<audit::Row> rows, log.newest(limit));
  if (program.json()) {
    Json all = Json::array();
    for (const audit::Row& row : rows) all.push_back(row_json(row));
    Console::json(all);
    return kDone;
  }
  if (rows.empty()) {
    Console::say("nothing was recorded yet");
    return kDone;
  }
  Table table(
      {{"ROW", Table::Align::right}, {"WHEN"}, {"UID"}, {"PID"}, {"VIA"}, {"ACT"}, {"SUBJECT"}, {"OUTCOME"}});
  for (const audit::Row& row : rows) {
    const audit::Entry& entry = row.entry;
    table.add({fmt::to_string(row.seq), local_time(entry.at_ms),
               entry.uid < 0 ? "-" : fmt::to_string(entry.uid),
               entry.pid == 0 ? "-" : fmt::to_string(entry.pid), entry.via, entry.act, entry.subject,
               entry.outcome});
  }
  Console::data(table.render(program.console().out_is_terminal ? program.console().columns : 0));
  return kDone;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(sqlite::Database database, audit::open_audit_database(home->audit_database()));
  audit::AuditLog log(database);
  return options.verify ? verify(program, log) : show(program, log, options.limit);
}

}  // namespace

void add_audit(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "audit", "Look",
      {.sentence = "Show who had the conductor change what, and check that record.",
       .examples = {{"selfbuild audit", "the newest 50 acts, oldest first"},
                    {"selfbuild audit verify",
                     "exit code 1 when a row was changed, removed or added; names the first one"}},
       .changes = "nothing",
       .exits = {kDone, kRefused, kUsage, kUnavailable}},
      [&program, options] { return run(program, *options); });
  command.add_option("--limit", options->limit, "How many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("N");
  CLI::App* sub = command.add_subcommand("verify", "Check that each row still follows from the one before");
  sub->set_help_flag();
  sub->callback([options] { options->verify = true; });
  program.add_json_option(command);
}

}  // namespace sb::tool
