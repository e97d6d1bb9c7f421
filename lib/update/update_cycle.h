// UpdateCycle: one update from a request to a verdict, journalled so that any worker can take it up at any
// moment. The conductor does the swap and its verification; this side hands over, waits, and closes the
// cycle.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "artifacts/object_store.h"
#include "base/result.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "os/home.h"
#include "project/project_file.h"
#include "staging/stage_pool.h"
#include "update/conductor_link.h"
#include "update/cycle_log.h"
#include "update/request.h"

namespace sb::update {

// How many workers may try one cycle, each after the last one died of something.
inline constexpr std::int64_t kMaxOwners = 5;

class UpdateCycle {
 public:
  UpdateCycle(const os::Home& home, history::History& history, ConductorLink& conductor,
              const os::Clock& clock, std::int64_t cycle);

  // Runs a new cycle, or resumes one where its journal stands, until its `done` record. Every outcome is in
  // the journal; true when the version was kept (or there was nothing to do). An error: the cycle is open,
  // and somebody has to take it up again. interrupted: a newer owner has it, a stop was asked for, or the
  // conductor has gone; nothing was recorded for it.
  [[nodiscard]] Result<bool> run(const std::stop_token& stop = {});

 private:
  struct Plan {
    Request request;
    std::optional<std::string> patch;  // its text
    staging::Repository repository;
    staging::Source base;
    project::ProjectFile project;  // of the tree to be built
    staging::Source source;        // patch applied
    cache::RemoteSettings remote;
  };

  Status worn_out(const std::optional<history::JournalRecord>& last) const;
  Status prove(const std::stop_token& stop);  // plan … probed, then hand over; or why not
  Result<Plan> plan();
  Status apply(Plan& plan);
  Status choose_remote(Plan& plan);
  Status close_unneeded(const history::Version& live);
  Status take_from_history(const history::Version& version);
  Result<staging::Stage> free_stage(Plan& plan, const std::stop_token& stop);
  Result<staging::Stage> stage(Plan& plan, const std::stop_token& stop);
  Result<history::Version> build(const Plan& plan, const staging::Stage& stage, const std::stop_token& stop);
  Status test(const Plan& plan, const staging::Stage& stage, history::Version& version,
              const std::stop_token& stop);
  Status keep(const Plan& plan, const staging::Stage& stage, history::Version& version);
  Status probe(const Plan& plan, const history::Version& version, const std::stop_token& stop);
  Status hand_over(const history::Version& version);
  Result<std::int64_t> activation_in_progress();
  Status wait_for_other(std::int64_t other);
  Error of_conductor(Error error);
  Status await_activation();
  void settle_cache(bool kept);
  Status close_forsaken(const Error& error);
  Status close_rejected(const Error& error);
  Result<bool> finish();
  Status reject_what_never_came_up(const history::JournalRecord& failed);

  Status record(history::Step step, const Json& detail, const history::History::Change& change = {});

  const os::Home& home_;
  history::History& history_;
  ConductorLink& conductor_;
  const os::Clock& clock_;
  const std::int64_t cycle_;
  os::RealFileSystem files_;
  artifacts::ObjectStore store_;
  CycleLog log_;
  std::int64_t fence_ = 0;
};

// The error of a rejected or failed cycle, from the journal: it is kept there as rpc::error_to_json() has it.
[[nodiscard]] Error error_from_json(const Json& detail);

// How many stages a project has: two, so that `selfbuild build` can run beside a cycle.
inline constexpr int kSlots = 2;

}  // namespace sb::update
