#include "audit/audit_log.h"

#include <array>

#include <fmt/format.h>

#include "audit/schema.h"
#include "base/digest.h"

namespace sb::audit {
namespace {

constexpr std::array kMigrations{sqlite::Migration{.number = 1, .sql = schema::k001_audit},
                                 sqlite::Migration{.number = 2, .sql = schema::k002_events}};
constexpr std::string_view kColumns = "seq, at, uid, pid, via, act, subject, outcome, hash";

Row row_of(const sqlite::Statement& row) {
  return {.seq = row.integer(0),
          .entry = {.at_ms = row.integer(1),
                    .uid = row.integer(2),
                    .pid = row.integer(3),
                    .via = row.text(4),
                    .act = row.text(5),
                    .subject = row.text(6),
                    .outcome = row.text(7)},
          .hash = row.text(8)};
}

}  // namespace

std::string chain(const std::string& before, std::int64_t seq, const Entry& entry) {
  std::string text = fmt::format("{}\n{} {} {} {}\n", before, seq, entry.at_ms, entry.uid, entry.pid);
  for (const std::string* one : {&entry.via, &entry.act, &entry.subject, &entry.outcome}) {
    text += fmt::format("{}:{}\n", one->size(), *one);
  }
  return sha256_hex(text);
}

Result<sqlite::Database> open_audit_database(const std::filesystem::path& path) {
  SB_TRY(sqlite::Database database, sqlite::Database::open(path));
  SB_CHECK(database.migrate("audit", kMigrations));
  return database;
}

Result<AuditLog::Ends> AuditLog::ends() {
  SB_TRY(sqlite::Statement row,
         database_.prepare("SELECT first_seq, before, last_seq, last_hash FROM audit_ends"));
  SB_TRY(const bool there, row.step());
  if (!there) return fail(ErrorKind::corrupt, "the audit log does not say where it begins and ends");
  return Ends{.first = row.integer(0), .before = row.text(1), .last = row.integer(2), .hash = row.text(3)};
}

Status AuditLog::set_ends(const Ends& ends) {
  SB_TRY(sqlite::Statement set,
         database_.prepare("UPDATE audit_ends SET first_seq = ?, before = ?, last_seq = ?, last_hash = ?"));
  return set.bind(1, ends.first).bind(2, ends.before).bind(3, ends.last).bind(4, ends.hash).run();
}

Status AuditLog::add(Ends& ends, const Entry& entry) {
  ++ends.last;
  ends.hash = chain(ends.hash, ends.last, entry);
  SB_TRY(sqlite::Statement put,
         database_.prepare(fmt::format("INSERT INTO audit({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns)));
  put.bind(1, ends.last).bind(2, entry.at_ms).bind(3, entry.uid).bind(4, entry.pid).bind(5, entry.via);
  return put.bind(6, entry.act).bind(7, entry.subject).bind(8, entry.outcome).bind(9, ends.hash).run();
}

Status AuditLog::append(std::span<const Entry> entries) {
  if (entries.empty()) return {};
  SB_TRY(Ends now, ends());
  for (const Entry& entry : entries) SB_CHECK(add(now, entry));
  SB_CHECK(prune(now, entries.back().at_ms));
  return set_ends(now);
}

// Seldom and much: a row of the log says so, and says what the chain was when the older ones were there.
Status AuditLog::prune(Ends& ends, std::int64_t at_ms) {
  const std::int64_t kept = ends.last - ends.first + 1;
  if (kept <= most_rows_ + most_rows_ / 10) return {};
  const std::int64_t last_gone = ends.last - most_rows_;
  SB_TRY(sqlite::Statement hash, database_.prepare("SELECT hash FROM audit WHERE seq = ?"));
  SB_TRY(const bool there, hash.bind(1, last_gone).step());
  // Somebody has taken it out: what is left then stays as evidence.
  if (!there) return {};
  const Entry pruned{.at_ms = at_ms,
                     .uid = -1,
                     .pid = 0,
                     .via = "itself",
                     .act = "audit.prune",
                     .subject = fmt::format("rows {} to {}", ends.first, last_gone),
                     .outcome = hash.text(0)};
  SB_TRY(sqlite::Statement drop, database_.prepare("DELETE FROM audit WHERE seq <= ?"));
  SB_CHECK(drop.bind(1, last_gone).run());
  ends.first = last_gone + 1;
  ends.before = pruned.outcome;
  return add(ends, pruned);
}

Result<std::vector<Row>> AuditLog::newest(std::int64_t limit) {
  SB_TRY(sqlite::Statement all,
         database_.prepare(fmt::format(
             "SELECT {0} FROM (SELECT {0} FROM audit ORDER BY seq DESC LIMIT ?) ORDER BY seq", kColumns)));
  all.bind(1, limit);
  std::vector<Row> rows;
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return rows;
    rows.push_back(row_of(all));
  }
}

Result<Verdict> AuditLog::verify() {
  Verdict verdict;
  SB_CHECK(database_.transaction([&]() -> Status {
    SB_TRY(verdict, walk());
    return {};
  }));
  return verdict;
}

Result<Verdict> AuditLog::walk() {
  SB_TRY(const Ends known, ends());
  Verdict verdict{.first = known.first, .last = known.last, .hash = known.hash};
  const auto bad = [&verdict](std::int64_t seq, std::string why) {
    verdict.bad = Verdict::Bad{.seq = seq, .why = std::move(why)};
    return verdict;
  };
  SB_TRY(sqlite::Statement all,
         database_.prepare(fmt::format("SELECT {} FROM audit ORDER BY seq", kColumns)));
  std::string before = known.before;
  for (std::int64_t seq = known.first;; ++seq) {
    SB_TRY(const bool more, all.step());
    if (!more && seq <= known.last) return bad(seq, "it is missing");
    if (!more) break;
    const Row row = row_of(all);
    if (row.seq > seq && seq <= known.last) return bad(seq, "it is missing");
    if (row.seq != seq || seq > known.last) return bad(row.seq, "nobody has recorded it");
    before = chain(before, seq, row.entry);
    if (before != row.hash) return bad(seq, "it is not what was recorded");
  }
  if (before != known.hash) return bad(known.last, "it is not the row that the log ended with");
  return verdict;
}

}  // namespace sb::audit
