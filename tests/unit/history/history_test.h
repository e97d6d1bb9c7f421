// What the tests of the history share: a database in a temporary folder and a clock that stands still.
#pragma once

#include <optional>

#include <gtest/gtest.h>

#include "history/history.h"
#include "os/clock.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::history {

class StoppedClock final : public os::Clock {
 public:
  [[nodiscard]] os::Milliseconds monotonic() const override { return os::Milliseconds(now); }
  [[nodiscard]] std::int64_t unix_ms() const override { return now; }
  std::int64_t now = 1'000;
};

class HistoryTest : public ::testing::Test {
 protected:
  void SetUp() override { open(mine_); }

  void open(std::optional<History>& history) {
    ASSERT_OK(History opened, History::open(path_, clock_));
    history.emplace(std::move(opened));
  }
  History& history() { return *mine_; }

  static Cycle update_of(const std::string& project, const std::string& commit = "c0ffee") {
    Cycle cycle;
    cycle.project = project;
    cycle.commit = commit;
    cycle.improvement_plan = R"({"patch":null,"title":"faster"})";
    cycle.triggered_by = "cli:alice";
    return cycle;
  }
  static Version version_of(const std::string& project, std::int64_t cycle) {
    Version version;
    version.project = project;
    version.cycle = cycle;
    version.digest = "digest of c-" + std::to_string(cycle);
    version.tree = "tree of c-" + std::to_string(cycle);
    return version;
  }
  std::int64_t count(const std::string& table) {
    Result<sqlite::Statement> statement = history().database().prepare("SELECT count(*) FROM " + table);
    return statement && statement->step() == true ? statement->integer(0) : -1;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::filesystem::path path_ = folder_.path() / "selfbuild.db";
  StoppedClock clock_;
  std::optional<History> mine_;
};

}  // namespace sb::history
