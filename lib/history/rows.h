// Rows of the history's tables as records: the column lists and what reads them. Private to this folder.
#pragma once

#include <string_view>

#include "history/types.h"
#include "sqlite/database.h"

namespace sb::history {

// The columns in the order in which the readers below expect them from column 0.
inline constexpr std::string_view kCycleColumns =
    "id, project, kind, improvement_plan, build_status, version, from_version, commit_id, started_at, "
    "completed_at, "
    "test_results, health_check_result, failure, rollback_reason, triggered_by";
inline constexpr std::string_view kRecordColumns = "seq, cycle, step, at, detail";
inline constexpr std::string_view kVersionColumns =
    "project, number, digest, services_json, commit_id, tree, patch_sha256, compiler, options, test_results, "
    "requested_by, cycle, created_at, state, state_reason";

// Each reads the row that the statement stands on; corrupt when a word in it is unknown.
[[nodiscard]] Result<Cycle> read_cycle(const sqlite::Statement& row);
[[nodiscard]] Result<JournalRecord> read_record(const sqlite::Statement& row);
[[nodiscard]] Result<Version> read_version(const sqlite::Statement& row);  // without its outputs

// Steps through all rows and reads each.
template <typename Record>
[[nodiscard]] Result<std::vector<Record>> read_all(sqlite::Statement& rows,
                                                   Result<Record> (*read)(const sqlite::Statement&)) {
  std::vector<Record> records;
  while (true) {
    SB_TRY(const bool row, rows.step());
    if (!row) return records;
    SB_TRY(Record record, read(rows));
    records.push_back(std::move(record));
  }
}

// The patch that a cycle's plan names; empty without one. corrupt when the plan is not JSON.
[[nodiscard]] Result<std::string> patch_of_plan(std::string_view improvement_plan);

}  // namespace sb::history
