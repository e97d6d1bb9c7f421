// kill -9 of the conductor after each of its journal records, with its real keeper and real services: the
// cycle ends all the same, with either the old version or the new one live, never neither and never both.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/conductor/conductor_process.h"
#include "unit/conductor/test_versions.h"

namespace sb::tests {
namespace {

using std::chrono::milliseconds;

struct Case {
  std::string step;
  bool drain_first;
};

std::string name_of(const ::testing::TestParamInfo<Case>& one) {
  return one.param.step;
}

class KilledAfter : public ::testing::TestWithParam<Case> {
 protected:
  KilledAfter() : versions_(conductor_.home(), "web") {
    mark_ = conductor_.home().state() / "crashed";
    if (GetParam().drain_first) versions_.edit().swap = supervise::SwapMode::drain_first;
    conductor_.start();
    const Json begun = conductor_.call("cycle.begin", versions_.promote(1, 0));
    const Json live = conductor_.call("activation.wait", begun);
    EXPECT_EQ(live["outcome"], "kept") << live.dump();
    address_ = conductor_.service("web")["sockets"][0];
    // The environment of the crash is read by the conductor alone; it is set from its next start on.
    conductor_.stop(false);
    conductor_.start({{"SELFBUILD_CRASH_AFTER", GetParam().step},
                      {"SELFBUILD_CRASH_IN", "conductor"},
                      {"SELFBUILD_CRASH_ONCE", mark_.string()}});
  }

  // Begins the swap to v2, which the crash interrupts, and waits for its outcome with the conductor that
  // comes next.
  Json swap_to_v2() {
    const Result<Json> begun = conductor_.try_call("cycle.begin", versions_.promote(2, 1));
    cycle_ = begun ? (*begun)["cycle"].get<std::int64_t>() : 2;
    conductor_.wait_until_ready();
    EXPECT_TRUE(std::filesystem::exists(mark_)) << "the conductor was not killed after " << GetParam().step;
    return conductor_.call("activation.wait", {{"cycle", cycle_}});
  }
  void expect_exactly_one(const std::string& version) {
    EXPECT_EQ(versions_.pointer(), "versions/" + version);
    EXPECT_EQ(http_get(address_).substr(0, 2), version);
    const Json service = conductor_.service("web");
    EXPECT_EQ("v" + std::to_string(service["version"].get<int>()), version);
    // Every process of the service has its folder as working directory: count those that there are.
    std::vector<std::string> running;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::error_code code;
      const auto cwd = std::filesystem::read_symlink(entry.path() / "cwd", code);
      if (!code && cwd.string().starts_with(conductor_.home().project("p").string()))
        running.push_back(entry.path().filename().string() + " in " + cwd.string());
    }
    EXPECT_THAT(running, ::testing::SizeIs(1));
    ASSERT_OK(const auto open, conductor_.history().unfinished());
    EXPECT_TRUE(open.empty());
  }

  [[nodiscard]] int times_started(const std::string& version) const {
    const std::string log = conductor_.log();
    const std::string words = "web: started " + version + " ";
    int times = 0;
    for (auto at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++times;
    return times;
  }

  ConductorProcess conductor_;
  TestVersions versions_;
  std::filesystem::path mark_;
  std::string address_;
  std::int64_t cycle_ = 0;
};

class KilledOnTheWayForward : public KilledAfter {};
class KilledOnTheWayBack : public KilledAfter {};

TEST_P(KilledOnTheWayForward, the_new_version_is_kept) {
  versions_.make(2, "ok");
  const Json outcome = swap_to_v2();
  if (GetParam().step == "planned") {
    EXPECT_EQ(outcome["outcome"], "failed");  // nobody had been told that it began
    return expect_exactly_one("v1");
  }
  EXPECT_EQ(outcome["outcome"], "kept") << outcome.dump();
  expect_exactly_one("v2");
}

INSTANTIATE_TEST_SUITE_P(Overlap, KilledOnTheWayForward,
                         ::testing::Values(Case{"planned", false}, Case{"swapping", false},
                                           Case{"started", false}, Case{"pointed", false},
                                           Case{"verifying", false}, Case{"kept", false},
                                           Case{"done", false}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(DrainFirst, KilledOnTheWayForward,
                         ::testing::Values(Case{"swapping", true}, Case{"started", true},
                                           Case{"pointed", true}, Case{"verifying", true}),
                         name_of);

TEST_P(KilledOnTheWayBack, the_old_version_is_live) {
  versions_.make(2, "ok");
  versions_.edit().probation = milliseconds(60'000);
  const Json begun = conductor_.call("cycle.begin", versions_.promote(2, 1));
  cycle_ = begun["cycle"].get<std::int64_t>();
  ASSERT_TRUE(conductor_.reaches("verifying"));
  for (int crash = 1; crash <= 3; ++crash) (void)http_get(address_, "/die");
  conductor_.wait_until_ready();
  const Json outcome = conductor_.call("activation.wait", begun);
  EXPECT_EQ(outcome["outcome"], "rolled_back") << outcome.dump();
  EXPECT_THAT(outcome["cause"].get<std::string>(), ::testing::HasSubstr("exit code 9"));
  EXPECT_EQ(times_started("v2"), 3) << "the conductor that came next started the sick version again";
  expect_exactly_one("v1");
}

INSTANTIATE_TEST_SUITE_P(Overlap, KilledOnTheWayBack,
                         ::testing::Values(Case{"rolling_back", false}, Case{"rolled_back", false}), name_of);
INSTANTIATE_TEST_SUITE_P(DrainFirst, KilledOnTheWayBack,
                         ::testing::Values(Case{"rolling_back", true}, Case{"rolled_back", true}), name_of);

}  // namespace
}  // namespace sb::tests
