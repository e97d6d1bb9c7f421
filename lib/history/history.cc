// The history's cycles and journal. Intent before act: what append returns from is on disk.
#include "history/history.h"

#include <fmt/format.h>

#include "history/crash_point.h"
#include "history/rows.h"
#include "history/schema.h"
#include "os/clock.h"

namespace sb::history {
namespace {

constexpr std::string_view kComponent = "history";
constexpr sqlite::Migration kMigrations[] = {{.number = 1, .sql = schema::k001_history}};

Error no_cycle(std::int64_t id) {
  return make_error(ErrorKind::not_found, fmt::format("there is no cycle {}", cycle_name(id)),
                    "selfbuild history");
}

Result<std::int64_t> insert_record(sqlite::Database& database, std::int64_t cycle, Step step,
                                   std::int64_t at_ms, const std::string& detail) {
  SB_TRY(sqlite::Statement insert,
         database.prepare("INSERT INTO journal(cycle, step, at, detail) VALUES(?1, ?2, ?3, ?4)"));
  SB_CHECK(insert.bind(1, cycle).bind(2, to_string(step)).bind(3, at_ms).bind(4, detail).run());
  return database.last_insert_id();
}

// Compares the writer's number with the newest that was given out.
Status check_fence(sqlite::Database& database, std::int64_t cycle, std::int64_t fence) {
  SB_TRY(sqlite::Statement row, database.prepare("SELECT owner_fence FROM build_history WHERE id=?1"));
  SB_TRY(const bool found, row.bind(1, cycle).step());
  if (!found) return fail(no_cycle(cycle));
  const std::int64_t newest = row.integer(0);
  if (fence == 0 || fence == newest) return {};
  Error error =
      fence < newest
          ? make_error(ErrorKind::interrupted, fmt::format("cycle {} has a newer owner", cycle_name(cycle)))
          : make_error(ErrorKind::bug,
                       fmt::format("cycle {} was never taken over with this number", cycle_name(cycle)));
  error.expected = fmt::format("owner {}", newest);
  error.found = fmt::format("owner {}", fence);
  return fail(std::move(error));
}

Status apply_change(sqlite::Database& database, std::int64_t cycle, const History::Change& change,
                    std::int64_t now) {
  SB_TRY(sqlite::Statement update,
         database.prepare("UPDATE build_history SET"
                          " build_status        = coalesce(?2, build_status),"
                          " version             = coalesce(?3, version),"
                          " from_version        = coalesce(?4, from_version),"
                          " commit_id           = coalesce(?5, commit_id),"
                          " test_results        = coalesce(?6, test_results),"
                          " health_check_result = coalesce(?7, health_check_result),"
                          " failure             = coalesce(?8, failure),"
                          " rollback_reason     = coalesce(?9, rollback_reason),"
                          " completed_at        = coalesce(?10, completed_at)"
                          " WHERE id=?1"));
  std::optional<std::string> status;
  if (change.status) status = to_string(*change.status);
  std::optional<std::int64_t> version;
  if (change.version) version = *change.version;
  std::optional<std::int64_t> from_version;
  if (change.from_version) from_version = *change.from_version;
  std::optional<std::int64_t> completed_at;
  if (change.completed) completed_at = now;
  return update.bind(1, cycle)
      .bind(2, status)
      .bind(3, version)
      .bind(4, from_version)
      .bind(5, change.commit)
      .bind(6, change.test_results)
      .bind(7, change.health_check_result)
      .bind(8, change.failure)
      .bind(9, change.rollback_reason)
      .bind(10, completed_at)
      .run();
}

}  // namespace

Result<History> History::open(const std::filesystem::path& path, const os::Clock& clock) {
  SB_TRY(sqlite::Database database, sqlite::Database::open(path));
  SB_CHECK(
      doing(fmt::format("opening the history {}", path.string()), database.migrate(kComponent, kMigrations)));
  return History(std::move(database), clock);
}

Result<std::int64_t> History::begin_cycle(const Cycle& cycle, const std::string& planned_detail,
                                          const std::function<Status(std::int64_t)>& alongside) {
  std::int64_t id = 0;
  const std::int64_t now = clock_->unix_ms();
  const auto insert_row_and_record = [&]() -> Status {
    SB_TRY(
        sqlite::Statement insert,
        database_.prepare("INSERT INTO build_history(project, kind, improvement_plan, build_status, version,"
                          " from_version, commit_id, started_at, triggered_by)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
    std::optional<std::int64_t> version;
    if (cycle.version) version = *cycle.version;
    std::optional<std::int64_t> from_version;
    if (cycle.from_version) from_version = *cycle.from_version;
    SB_CHECK(insert.bind(1, cycle.project)
                 .bind(2, to_string(cycle.kind))
                 .bind(3, cycle.improvement_plan)
                 .bind(4, to_string(BuildStatus::queued))
                 .bind(5, version)
                 .bind(6, from_version)
                 .bind(7, cycle.commit)
                 .bind(8, cycle.started_ms == 0 ? now : cycle.started_ms)
                 .bind(9, cycle.triggered_by)
                 .run());
    id = database_.last_insert_id();
    SB_CHECK(insert_record(database_, id, Step::planned, now, planned_detail));
    return alongside ? alongside(id) : Status{};
  };
  SB_CHECK(doing("beginning a cycle of " + cycle.project, database_.transaction(insert_row_and_record)));
  crash_point(to_string(Step::planned));
  return id;
}

Result<Cycle> History::cycle(std::int64_t id) {
  SB_TRY(sqlite::Statement row,
         database_.prepare(fmt::format("SELECT {} FROM build_history WHERE id=?1", kCycleColumns)));
  SB_TRY(const bool found, row.bind(1, id).step());
  if (!found) return fail(no_cycle(id));
  return read_cycle(row);
}

Result<std::vector<Cycle>> History::cycles(const std::string& project, int limit) {
  SB_TRY(sqlite::Statement rows,
         database_.prepare(
             fmt::format("SELECT {} FROM build_history WHERE ?1='' OR project=?1 ORDER BY id DESC LIMIT ?2",
                         kCycleColumns)));
  rows.bind(1, project).bind(2, limit);
  return read_all(rows, read_cycle);
}

Result<std::int64_t> History::take_over(std::int64_t cycle) {
  std::int64_t fence = 0;
  const auto raise_fence = [&]() -> Status {
    SB_TRY(sqlite::Statement update,
           database_.prepare("UPDATE build_history SET owner_fence=owner_fence+1 WHERE id=?1"));
    SB_CHECK(update.bind(1, cycle).run());
    if (database_.changes() == 0) return fail(no_cycle(cycle));
    SB_TRY(sqlite::Statement row, database_.prepare("SELECT owner_fence FROM build_history WHERE id=?1"));
    SB_CHECK(row.bind(1, cycle).step());
    fence = row.integer(0);
    return {};
  };
  SB_CHECK(doing("taking over cycle " + cycle_name(cycle), database_.transaction(raise_fence)));
  return fence;
}

Result<std::int64_t> History::append(std::int64_t cycle, Step step, const std::string& detail,
                                     const Change& change, std::int64_t fence) {
  std::int64_t seq = 0;
  const std::int64_t now = clock_->unix_ms();
  const auto record_and_change = [&]() -> Status {
    SB_CHECK(check_fence(database_, cycle, fence));
    SB_TRY(seq, insert_record(database_, cycle, step, now, detail));
    return apply_change(database_, cycle, change, now);
  };
  SB_CHECK(doing(fmt::format("recording \"{}\" of cycle {}", to_string(step), cycle_name(cycle)),
                 database_.transaction(record_and_change)));
  crash_point(to_string(step));
  return seq;
}

Result<std::vector<JournalRecord>> History::journal(std::int64_t cycle) {
  SB_TRY(sqlite::Statement rows, database_.prepare(fmt::format(
                                     "SELECT {} FROM journal WHERE cycle=?1 ORDER BY seq", kRecordColumns)));
  rows.bind(1, cycle);
  return read_all(rows, read_record);
}

Result<std::optional<JournalRecord>> History::last_record(std::int64_t cycle) {
  SB_TRY(sqlite::Statement row,
         database_.prepare(
             fmt::format("SELECT {} FROM journal WHERE cycle=?1 ORDER BY seq DESC LIMIT 1", kRecordColumns)));
  SB_TRY(const bool found, row.bind(1, cycle).step());
  if (!found) return std::nullopt;
  SB_TRY(JournalRecord record, read_record(row));
  return record;
}

Result<std::vector<Cycle>> History::unfinished() {
  SB_TRY(sqlite::Statement rows,
         database_.prepare(fmt::format("SELECT {} FROM build_history WHERE NOT EXISTS"
                                       " (SELECT 1 FROM journal WHERE cycle=build_history.id AND step='done')"
                                       " ORDER BY id",
                                       kCycleColumns)));
  return read_all(rows, read_cycle);
}

Result<std::optional<Cycle>> History::result_for_commit(const std::string& project,
                                                        const std::string& commit) {
  SB_TRY(sqlite::Statement rows,
         database_.prepare(
             fmt::format("SELECT {} FROM build_history WHERE project=?1 AND commit_id=?2"
                         " AND kind='update' AND build_status IN ('failed', 'rolled_back', 'completed')"
                         " ORDER BY id DESC",
                         kCycleColumns)));
  rows.bind(1, project).bind(2, commit);
  while (true) {
    SB_TRY(const bool found, rows.step());
    if (!found) return std::nullopt;
    SB_TRY(Cycle cycle, read_cycle(rows));
    SB_TRY(const std::string patch,
           doing("reading cycle " + cycle_name(cycle.id), patch_of_plan(cycle.improvement_plan)));
    if (patch.empty()) return cycle;
  }
}

}  // namespace sb::history
