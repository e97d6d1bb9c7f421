// The history's versions, what they are made of, and the nightly back-off.
#include <fmt/format.h>

#include "history/history.h"
#include "history/rows.h"
#include "os/clock.h"

namespace sb::history {
namespace {

Result<std::vector<OutputFile>> outputs_of(sqlite::Database& database, const std::string& project,
                                           int number) {
  SB_TRY(sqlite::Statement rows, database.prepare("SELECT path, xxh3, size, sha256, mode FROM version_output"
                                                  " WHERE project=?1 AND number=?2 ORDER BY path"));
  rows.bind(1, project).bind(2, number);
  return read_all<OutputFile>(rows, [](const sqlite::Statement& row) -> Result<OutputFile> {
    return OutputFile{.path = row.text(0),
                      .object = {.xxh3 = row.text(1), .size = static_cast<std::uint64_t>(row.integer(2))},
                      .sha256 = row.text(3),
                      .mode = static_cast<unsigned>(row.integer(4))};
  });
}

// The number that this cycle's version has already, or nothing.
Result<std::optional<int>> number_of_cycle(sqlite::Database& database, const Version& version) {
  if (version.cycle == 0) return std::nullopt;
  SB_TRY(sqlite::Statement row, database.prepare("SELECT number FROM version WHERE project=?1 AND cycle=?2"));
  SB_TRY(const bool found, row.bind(1, version.project).bind(2, version.cycle).step());
  if (!found) return std::nullopt;
  return static_cast<int>(row.integer(0));
}

Result<int> newest_number(sqlite::Database& database, const std::string& project) {
  SB_TRY(sqlite::Statement row,
         database.prepare("SELECT coalesce(max(number), 0) FROM version WHERE project=?1"));
  SB_CHECK(row.bind(1, project).step());
  return static_cast<int>(row.integer(0));
}

Error no_version(sqlite::Database& database, const std::string& project, int number) {
  const Result<int> newest = newest_number(database, project);
  if (!newest) return newest.error();
  if (*newest == 0) {
    return make_error(ErrorKind::not_found, fmt::format("project {} has no versions yet", project),
                      "selfbuild update");
  }
  return make_error(ErrorKind::not_found,
                    fmt::format("there is no {} of project {}; the newest is {}", version_name(number),
                                project, version_name(*newest)),
                    "selfbuild history");
}

Status insert_version(sqlite::Database& database, const Version& version, int number, std::int64_t now) {
  SB_TRY(
      sqlite::Statement insert,
      database.prepare(fmt::format(
          "INSERT INTO version({}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
          kVersionColumns)));
  SB_CHECK(insert.bind(1, version.project)
               .bind(2, number)
               .bind(3, version.digest)
               .bind(4, version.services_json)
               .bind(5, version.commit)
               .bind(6, version.tree)
               .bind(7, version.patch_sha256)
               .bind(8, version.compiler)
               .bind(9, version.options)
               .bind(10, version.test_results)
               .bind(11, version.requested_by)
               .bind(12, version.cycle)
               .bind(13, version.created_ms == 0 ? now : version.created_ms)
               .bind(14, to_string(version.state))
               .bind(15, version.state_reason)
               .run());
  SB_TRY(sqlite::Statement output,
         database.prepare("INSERT INTO version_output(project, number, path, xxh3, size, sha256, mode)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  for (const OutputFile& file : version.outputs) {
    SB_CHECK(output.bind(1, version.project)
                 .bind(2, number)
                 .bind(3, file.path)
                 .bind(4, file.object.xxh3)
                 .bind(5, static_cast<std::int64_t>(file.object.size))
                 .bind(6, file.sha256)
                 .bind(7, static_cast<std::int64_t>(file.mode))
                 .run());
  }
  return {};
}

}  // namespace

Result<int> History::add_version(const Version& version) {
  int number = 0;
  const auto number_and_insert = [&]() -> Status {
    // Looked up under the write lock: two processes must neither take the same number nor leave a gap.
    SB_TRY(const std::optional<int> known, number_of_cycle(database_, version));
    if (known) {
      number = *known;
      return {};
    }
    SB_TRY(const int newest, newest_number(database_, version.project));
    number = newest + 1;
    return insert_version(database_, version, number, clock_->unix_ms());
  };
  SB_CHECK(doing("keeping a version of " + version.project, database_.transaction(number_and_insert)));
  return number;
}

Result<Version> History::version(const std::string& project, int number) {
  SB_TRY(sqlite::Statement row,
         database_.prepare(
             fmt::format("SELECT {} FROM version WHERE project=?1 AND number=?2", kVersionColumns)));
  SB_TRY(const bool found, row.bind(1, project).bind(2, number).step());
  if (!found) return fail(no_version(database_, project, number));
  SB_TRY(Version version, read_version(row));
  SB_TRY(version.outputs, outputs_of(database_, project, number));
  return version;
}

Result<std::vector<Version>> History::versions(const std::string& project) {
  SB_TRY(sqlite::Statement rows,
         database_.prepare(
             fmt::format("SELECT {} FROM version WHERE project=?1 ORDER BY number DESC", kVersionColumns)));
  rows.bind(1, project);
  SB_TRY(std::vector<Version> versions, read_all(rows, read_version));
  for (Version& version : versions) {
    SB_TRY(version.outputs, outputs_of(database_, project, version.number));
  }
  return versions;
}

Result<std::optional<Version>> History::judged_version_of_tree(const std::string& project,
                                                               const std::string& tree) {
  SB_TRY(sqlite::Statement row,
         database_.prepare("SELECT number FROM version AS v WHERE project=?1 AND tree=?2 AND state<>?3"
                           " AND EXISTS (SELECT 1 FROM version_output AS o"
                           " WHERE o.project=v.project AND o.number=v.number)"
                           " ORDER BY number DESC LIMIT 1"));
  SB_TRY(const bool found,
         row.bind(1, project).bind(2, tree).bind(3, to_string(VersionState::candidate)).step());
  if (!found) return std::nullopt;
  SB_TRY(Version newest, version(project, static_cast<int>(row.integer(0))));
  return newest;
}

Status History::set_version_state(const std::string& project, int number, VersionState state,
                                  const std::string& reason) {
  SB_TRY(sqlite::Statement update,
         database_.prepare("UPDATE version SET state=?3, state_reason=?4 WHERE project=?1 AND number=?2"));
  SB_CHECK(update.bind(1, project).bind(2, number).bind(3, to_string(state)).bind(4, reason).run());
  if (database_.changes() == 0) return fail(no_version(database_, project, number));
  return {};
}

Result<std::vector<std::string>> History::projects() {
  SB_TRY(sqlite::Statement rows,
         database_.prepare("SELECT project FROM build_history UNION SELECT project FROM version ORDER BY 1"));
  return read_all<std::string>(
      rows, [](const sqlite::Statement& row) -> Result<std::string> { return row.text(0); });
}

Result<std::vector<artifacts::ObjectId>> History::referenced_objects() {
  using artifacts::ObjectId;
  SB_TRY(sqlite::Statement outputs, database_.prepare("SELECT DISTINCT xxh3, size FROM version_output"));
  SB_TRY(std::vector<ObjectId> objects,
         read_all<ObjectId>(outputs, [](const sqlite::Statement& row) -> Result<ObjectId> {
           return ObjectId{.xxh3 = row.text(0), .size = static_cast<std::uint64_t>(row.integer(1))};
         }));
  SB_TRY(sqlite::Statement plans,
         database_.prepare("SELECT improvement_plan FROM build_history WHERE kind='update'"));
  SB_TRY(
      const std::vector<std::string> patches,
      read_all<std::string>(plans, [](const sqlite::Statement& row) { return patch_of_plan(row.text(0)); }));
  for (const std::string& patch : patches) {
    if (const Result<ObjectId> object = ObjectId::parse(patch)) objects.push_back(*object);
  }
  return objects;
}

Status History::drop_outputs(const std::string& project, int number) {
  return database_.transaction([&]() -> Status {
    SB_TRY(sqlite::Statement known,
           database_.prepare("SELECT 1 FROM version WHERE project=?1 AND number=?2"));
    SB_TRY(const bool found, known.bind(1, project).bind(2, number).step());
    if (!found) return fail(no_version(database_, project, number));
    SB_TRY(sqlite::Statement remove,
           database_.prepare("DELETE FROM version_output WHERE project=?1 AND number=?2"));
    return remove.bind(1, project).bind(2, number).run();
  });
}

Result<History::Backoff> History::backoff(const std::string& project) {
  SB_TRY(sqlite::Statement row,
         database_.prepare("SELECT failures, not_before FROM nightly_backoff WHERE project=?1"));
  SB_TRY(const bool found, row.bind(1, project).step());
  if (!found) return Backoff{};
  return Backoff{.failures = static_cast<int>(row.integer(0)), .not_before_ms = row.integer(1)};
}

Status History::set_backoff(const std::string& project, const Backoff& backoff) {
  SB_TRY(sqlite::Statement upsert,
         database_.prepare("INSERT INTO nightly_backoff(project, failures, not_before) VALUES(?1, ?2, ?3)"
                           " ON CONFLICT(project) DO UPDATE SET failures=excluded.failures,"
                           " not_before=excluded.not_before"));
  return upsert.bind(1, project).bind(2, backoff.failures).bind(3, backoff.not_before_ms).run();
}

}  // namespace sb::history
