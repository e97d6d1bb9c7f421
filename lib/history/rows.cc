#include "history/rows.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sb::history {
namespace {

std::optional<int> optional_number(const sqlite::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return static_cast<int>(row.integer(column));
}

}  // namespace

Result<Cycle> read_cycle(const sqlite::Statement& row) {
  const std::int64_t id = row.integer(0);
  const std::string reading = "reading cycle " + cycle_name(id);
  SB_TRY(const CycleKind kind, doing(reading, parse_cycle_kind(row.text(2))));
  SB_TRY(const BuildStatus status, doing(reading, parse_build_status(row.text(4))));
  return Cycle{.id = id,
               .project = row.text(1),
               .kind = kind,
               .improvement_plan = row.text(3),
               .status = status,
               .version = optional_number(row, 5),
               .from_version = optional_number(row, 6),
               .commit = row.text(7),
               .started_ms = row.integer(8),
               .completed_ms = row.optional_integer(9),
               .test_results = row.text(10),
               .health_check_result = row.text(11),
               .failure = row.text(12),
               .rollback_reason = row.text(13),
               .triggered_by = row.text(14)};
}

Result<JournalRecord> read_record(const sqlite::Statement& row) {
  SB_TRY(const Step step,
         doing(fmt::format("reading journal record {}", row.integer(0)), parse_step(row.text(2))));
  return JournalRecord{.seq = row.integer(0),
                       .cycle = row.integer(1),
                       .step = step,
                       .at_ms = row.integer(3),
                       .detail = row.text(4)};
}

Result<Version> read_version(const sqlite::Statement& row) {
  const int number = static_cast<int>(row.integer(1));
  SB_TRY(const VersionState state, doing(fmt::format("reading {} of {}", version_name(number), row.text(0)),
                                         parse_version_state(row.text(13))));
  return Version{.project = row.text(0),
                 .number = number,
                 .outputs = {},
                 .digest = row.text(2),
                 .services_json = row.text(3),
                 .commit = row.text(4),
                 .tree = row.text(5),
                 .patch_sha256 = row.text(6),
                 .compiler = row.text(7),
                 .options = row.text(8),
                 .test_results = row.text(9),
                 .requested_by = row.text(10),
                 .cycle = row.integer(11),
                 .created_ms = row.integer(12),
                 .state = state,
                 .state_reason = row.text(14)};
}

Result<std::string> patch_of_plan(std::string_view improvement_plan) {
  if (improvement_plan.empty()) return std::string();
  const auto patch = [&]() -> Result<std::string> {
    SB_TRY(const Json plan, parse_json(improvement_plan));
    return json_string_or(plan, "patch", "");
  }();
  if (patch) return patch;
  Error error = patch.error();
  error.kind = ErrorKind::corrupt;
  return fail(std::move(error).doing("reading the plan of a cycle"));
}

}  // namespace sb::history
