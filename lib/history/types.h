// The records that selfbuild and the conductor share: versions, cycles, and the journal of the running cycle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/object_store.h"

namespace sb::history {

// "c-118" and "v3" as people write them.
[[nodiscard]] std::string cycle_name(std::int64_t cycle);
[[nodiscard]] std::string version_name(int number);
[[nodiscard]] Result<std::int64_t> parse_cycle(std::string_view text);  // "c-118" or "118"
[[nodiscard]] Result<int> parse_version(std::string_view text);         // "v3" or "3"

struct OutputFile {
  std::string path;  // relative to the version's folder, e.g. "bin/selfbuild"
  artifacts::ObjectId object;
  std::string sha256;
  unsigned mode = 0755;
};

enum class VersionState {
  candidate,    // built and tested; never in service
  known_good,   // passed verification in service at least once
  rejected,     // its candidate run failed, or it never came up in service
  rolled_back,  // was in service and taken back by itself
};

// One kept build of one project. Never changes once written, but for `state` and `state_reason`.
struct Version {
  std::string project;
  int number = 0;  // from 1, per project
  std::vector<OutputFile> outputs;
  std::string digest;         // SHA-256 over the sorted outputs (path, mode, SHA-256): what is promoted
  std::string services_json;  // the Service documents of this tree (array of ServiceSpec)
  std::string commit;         // 40 hex digits, of the repository
  std::string tree;           // 40 hex digits: the source, patch applied
  std::string patch_sha256;   // empty without a patch
  std::string compiler;       // "GNU 12.2.0"
  std::string options;        // configure options as JSON
  std::string test_results;   // one line, "412 passed"
  std::string requested_by;
  std::int64_t cycle = 0;
  std::int64_t created_ms = 0;
  VersionState state = VersionState::candidate;
  std::string state_reason;
};

enum class BuildStatus { queued, building, testing, swapping, completed, failed, rolled_back };

// What kind of work a cycle does.
enum class CycleKind { update, promote, rollback };

// One row of build_history.
struct Cycle {
  std::int64_t id = 0;
  std::string project;
  CycleKind kind = CycleKind::update;
  std::string improvement_plan;  // the request as JSON: rev, patch object, options, title
  BuildStatus status = BuildStatus::queued;
  std::optional<int> version;       // once one exists
  std::optional<int> from_version;  // what was live at its swap; until then, when it was asked for
  std::string commit;               // what it was asked to build; empty for promote and rollback
  std::int64_t started_ms = 0;
  std::optional<std::int64_t> completed_ms;
  std::string test_results;
  std::string health_check_result;
  std::string failure;  // one line: why status is failed
  std::string rollback_reason;
  std::string triggered_by;  // "cli:alice", "nightly", …
};

// The journal's steps in the order of an update that goes well; then the ways it can end otherwise.
// A record is durable before the act that it announces (building), or after the fact that it states (built).
enum class Step {
  planned,
  staging,
  staged,
  building,
  built,
  testing,
  tested,
  probing,
  probed,  // selfbuild
  swapping,
  started,
  pointed,
  verifying,
  kept,      // conductor
  done,      // selfbuild: nothing is left to do
  rejected,  // selfbuild: a verdict says no; the live version was never touched
  failed,    // either: an error; the live version was never touched, or is back
  rolling_back,
  rolled_back,  // conductor
  canary,       // conductor, before `pointed`: a part of the users reaches the new version
  baking,       // conductor, after `pointed`: the old version is alive and idle
  committed,    // conductor, after `baking`: the old version is let go
  paused,       // conductor, anywhere before the verdict: it goes on when a person says so
  resumed,
};

struct JournalRecord {
  std::int64_t seq = 0;  // over all cycles, ascending
  std::int64_t cycle = 0;
  Step step = Step::planned;
  std::int64_t at_ms = 0;
  std::string detail;  // JSON object; which keys depends on the step
};

[[nodiscard]] std::string_view to_string(Step step);
[[nodiscard]] std::string_view to_string(BuildStatus status);
[[nodiscard]] std::string_view to_string(VersionState state);
[[nodiscard]] std::string_view to_string(CycleKind kind);
// The same words back. Any other word is ErrorKind::corrupt: only a damaged or foreign database holds one.
[[nodiscard]] Result<Step> parse_step(std::string_view text);
[[nodiscard]] Result<BuildStatus> parse_build_status(std::string_view text);
[[nodiscard]] Result<VersionState> parse_version_state(std::string_view text);
[[nodiscard]] Result<CycleKind> parse_cycle_kind(std::string_view text);

}  // namespace sb::history
