// History: which versions exist, which step every cycle is in, and why. The contract between selfbuild and
// the conductor: both open the same database (WAL). Every call that writes is durable when it returns, unless
// the database leaves its syncs to sqlite::CommitSync.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "history/types.h"
#include "sqlite/database.h"

namespace sb::os {
class Clock;
}

namespace sb::history {

class History {
 public:
  // Opens and migrates. One History per thread.
  [[nodiscard]] static Result<History> open(const std::filesystem::path& path, const os::Clock& clock);

  // -- cycles ---------------------------------------------------------------------------------------------
  // Creates the row (status queued) and its `planned` record in one transaction. Ids ascend from 1.
  // alongside runs inside that same transaction with the new id (the conductor adds its task there).
  [[nodiscard]] Result<std::int64_t> begin_cycle(const Cycle& cycle, const std::string& planned_detail,
                                                 const std::function<Status(std::int64_t)>& alongside = {});
  [[nodiscard]] Result<Cycle> cycle(std::int64_t id);  // not_found
  // Newest first. Without a project: all.
  [[nodiscard]] Result<std::vector<Cycle>> cycles(const std::string& project, int limit = 1000);

  // A new owner takes the cycle over: returns its fencing number. Appends with an older number are refused.
  [[nodiscard]] Result<std::int64_t> take_over(std::int64_t cycle);

  // Fields of build_history that change along with a journal record; empty means: leave.
  struct Change {
    std::optional<BuildStatus> status{};
    std::optional<int> version{};
    std::optional<int> from_version{};
    std::optional<std::string> commit{};
    std::optional<std::string> test_results{};
    std::optional<std::string> health_check_result{};
    std::optional<std::string> failure{};
    std::optional<std::string> rollback_reason{};
    bool completed = false;  // sets completed_at
  };
  // Appends a record and applies the change to the cycle's row, in one transaction. `fence` is what take_over
  // returned; 0 for the conductor, which is never fenced. ErrorKind::interrupted when a newer owner exists.
  [[nodiscard]] Result<std::int64_t> append(std::int64_t cycle, Step step, const std::string& detail,
                                            const Change& change, std::int64_t fence);
  [[nodiscard]] Result<std::vector<JournalRecord>> journal(std::int64_t cycle);  // oldest first
  [[nodiscard]] Result<std::optional<JournalRecord>> last_record(std::int64_t cycle);
  // Cycles without a `done` record, oldest first: what a crash may have interrupted.
  [[nodiscard]] Result<std::vector<Cycle>> unfinished();
  // The newest update cycle of this project that was asked to build this commit (without a patch), and
  // failed, was rolled back or completed.
  [[nodiscard]] Result<std::optional<Cycle>> result_for_commit(const std::string& project,
                                                               const std::string& commit);

  // -- versions -------------------------------------------------------------------------------------------
  // Gives it the next number of its project. Idempotent per (project, cycle): a second call for the same
  // cycle returns the number of the first.
  [[nodiscard]] Result<int> add_version(const Version& version);
  [[nodiscard]] Result<Version> version(const std::string& project,
                                        int number);  // not_found names the newest
  [[nodiscard]] Result<std::vector<Version>> versions(const std::string& project);  // newest first
  // The newest that there is a verdict on (no candidate: its cycle may have died), and that still has its
  // outputs: one that gc emptied is no answer.
  [[nodiscard]] Result<std::optional<Version>> judged_version_of_tree(const std::string& project,
                                                                      const std::string& tree);
  [[nodiscard]] Status set_version_state(const std::string& project, int number, VersionState state,
                                         const std::string& reason);
  [[nodiscard]] Result<std::vector<std::string>> projects();
  // Every object that a version refers to, and every patch that a cycle was asked to apply ("patch" in its
  // plan); what gc keeps.
  [[nodiscard]] Result<std::vector<artifacts::ObjectId>> referenced_objects();
  // Forgets a version's outputs (the row stays: vN never changes meaning). gc calls it.
  [[nodiscard]] Status drop_outputs(const std::string& project, int number);

  // -- nightly --------------------------------------------------------------------------------------------
  struct Backoff {
    int failures = 0;  // in a row
    std::int64_t not_before_ms = 0;
  };
  [[nodiscard]] Result<Backoff> backoff(const std::string& project);
  [[nodiscard]] Status set_backoff(const std::string& project, const Backoff& backoff);

  [[nodiscard]] sqlite::Database& database() { return database_; }
  // Until what anybody has written, and can be read here, is on disk.
  [[nodiscard]] Status sync() { return database_.sync_log(); }
  [[nodiscard]] const os::Clock& clock() const { return *clock_; }

 private:
  History(sqlite::Database database, const os::Clock& clock)
      : database_(std::move(database)), clock_(&clock) {}
  sqlite::Database database_;
  const os::Clock* clock_;
};

}  // namespace sb::history
