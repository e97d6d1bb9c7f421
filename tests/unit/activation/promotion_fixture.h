// v1 was good, and serves on sockets that can be steered; v2 is to be promoted.
#pragma once

#include <nlohmann/json.hpp>

#include "unit/activation/activation_fixture.h"

namespace sb::activation {

class Promotion : public Activation {
 protected:
  Promotion() : Activation(/*steers=*/true) {}
  void SetUp() override { keep_first_version(); }

  [[nodiscard]] Request careful(std::vector<int> canary, int bake_ms = 0) {
    Request careful = request(2);
    careful.rollout.canary = std::move(canary);
    careful.rollout.bake = std::chrono::milliseconds(bake_ms);
    return careful;
  }
  // v2 is up, and its proofs are given.
  void start(const Request& wanted) {
    begin(wanted);
    all_ready();
    world_.pass(40);
  }
  [[nodiscard]] Json detail_of(history::Step step) const {
    Json detail;
    const std::vector<history::JournalRecord> journal = history_->journal(cycle_).value();
    for (const history::JournalRecord& record : journal) {
      if (record.step == step) detail = parse_json(record.detail).value_or(Json());
    }
    return detail;
  }
  [[nodiscard]] ActivationCycle& running_one() { return **activator_->in_progress(); }
  // What an automatic rollback needs to know: v1 was good.
  void remember_versions(history::VersionState first = history::VersionState::known_good) {
    for (int number = 1; number <= 2; ++number) {
      history::Version version;
      version.project = "p";
      version.services_json = "[]";
      ASSERT_TRUE(history_->add_version(version).has_value());
    }
    ASSERT_GOOD(history_->set_version_state("p", 1, first, "as the test says"));
  }
};

}  // namespace sb::activation
