// Swaps by the real conductor: what clients see, what is live afterwards, what the history says.
#include <atomic>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/files.h"
#include "support/result_matchers.h"
#include "support/wait.h"
#include "unit/conductor/conductor_process.h"
#include "unit/conductor/test_versions.h"

namespace sb::tests {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Swap : public ::testing::Test {
 protected:
  Swap() : versions_((conductor_.start(), conductor_.home()), "web") {}

  Json promote(int number, int from) {
    cycle_ = conductor_.call("cycle.begin", versions_.promote(number, from))["cycle"].get<std::int64_t>();
    return conductor_.call("activation.wait", {{"cycle", cycle_}});
  }
  void make_v1_live() {
    ASSERT_EQ(promote(1, 0)["outcome"], "kept");
    address_ = conductor_.service("web")["sockets"][0];
    pid_ = conductor_.service("web")["pid"].get<int>();
  }
  [[nodiscard]] std::string answer() const { return http_get(address_).substr(0, 2); }

  ConductorProcess conductor_;
  TestVersions versions_;
  std::int64_t cycle_ = 0;
  std::string address_;
  int pid_ = 0;
};

TEST_F(Swap, keeps_a_good_version_and_says_so_in_the_history) {
  make_v1_live();
  versions_.make(2, "ok");
  EXPECT_EQ(promote(2, 1)["outcome"], "kept");
  EXPECT_EQ(versions_.pointer(), "versions/v2");
  EXPECT_EQ(answer(), "v2");
  EXPECT_EQ(conductor_.service("web")["version"], 2);
  EXPECT_FALSE(os::start_ticks_of(pid_).has_value()) << "the old process still runs";
  EXPECT_THAT(conductor_.steps(cycle_),
              ElementsAre("planned", "swapping", "started", "pointed", "verifying", "kept", "done"));
  history::History history = conductor_.history();
  ASSERT_OK(const history::Cycle row, history.cycle(cycle_));
  EXPECT_EQ(row.status, history::BuildStatus::completed);
  EXPECT_THAT(row.health_check_result, HasSubstr("healthy for 300 ms, "));
  EXPECT_TRUE(row.completed_ms.has_value());
}

TEST_F(Swap, fails_no_request_while_versions_come_and_go) {
  make_v1_live();
  std::atomic<bool> enough = false;
  std::atomic<int> sent = 0;
  std::atomic<int> failed = 0;
  std::thread client([&] {
    while (!enough) {
      ++sent;
      if (http_get(address_).empty()) ++failed;
    }
  });
  for (int number = 2; number <= 4; ++number) {
    versions_.make(number, "ok");
    EXPECT_EQ(promote(number, number - 1)["outcome"], "kept");
  }
  enough = true;
  client.join();
  EXPECT_EQ(failed, 0) << "of " << sent;
  EXPECT_GT(sent, 50);
}

TEST_F(Swap, never_stops_the_old_version_for_one_that_does_not_get_ready) {
  make_v1_live();
  versions_.make(2, "never_ready");
  versions_.edit().start_timeout = milliseconds(200);
  const Json outcome = promote(2, 1);
  EXPECT_EQ(outcome["outcome"], "failed");
  EXPECT_THAT(outcome["cause"].get<std::string>(), HasSubstr("not ready within 200 ms"));
  EXPECT_EQ(versions_.pointer(), "versions/v1");
  EXPECT_EQ(conductor_.service("web")["pid"], pid_);
  EXPECT_THAT(conductor_.steps(cycle_), ElementsAre("planned", "swapping", "failed", "done"));
  ASSERT_OK(const history::Cycle row, conductor_.history().cycle(cycle_));
  EXPECT_EQ(row.status, history::BuildStatus::failed);
}

TEST_F(Swap, refuses_a_version_that_dies_at_its_start_and_names_the_exit_code) {
  make_v1_live();
  versions_.make(2, "dies");
  const Json outcome = promote(2, 1);
  EXPECT_EQ(outcome["outcome"], "failed");
  EXPECT_THAT(outcome["cause"].get<std::string>(), HasSubstr("exit code 7"));
  EXPECT_EQ(conductor_.service("web")["pid"], pid_);
}

TEST_F(Swap, rolls_back_a_version_that_dies_in_probation) {
  make_v1_live();
  versions_.make(2, "ok");
  versions_.edit().probation = milliseconds(60'000);
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  ASSERT_TRUE(conductor_.reaches("verifying"));
  for (int crash = 1; crash <= 3; ++crash) (void)http_get(address_, "/die");
  const Json outcome = conductor_.call("activation.wait", {{"cycle", cycle_}});
  EXPECT_EQ(outcome["outcome"], "rolled_back");
  EXPECT_THAT(outcome["cause"].get<std::string>(), HasSubstr("exit code 9"));
  EXPECT_EQ(versions_.pointer(), "versions/v1");
  EXPECT_EQ(answer(), "v1");
  EXPECT_THAT(conductor_.steps(cycle_), ElementsAre("planned", "swapping", "started", "pointed", "verifying",
                                                    "rolling_back", "rolled_back", "done"));
  ASSERT_OK(const history::Cycle row, conductor_.history().cycle(cycle_));
  EXPECT_EQ(row.status, history::BuildStatus::rolled_back);
  EXPECT_THAT(row.rollback_reason, HasSubstr("exit code 9"));
}

TEST_F(Swap, rolls_back_a_version_that_turns_unhealthy) {
  make_v1_live();
  versions_.make(2, "ok");
  versions_.edit().probation = milliseconds(60'000);
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  ASSERT_TRUE(conductor_.reaches("verifying"));
  write(versions_.folder(2) / "sick", "");
  const Json outcome = conductor_.call("activation.wait", {{"cycle", cycle_}});
  EXPECT_EQ(outcome["outcome"], "rolled_back");
  EXPECT_THAT(outcome["cause"].get<std::string>(), HasSubstr("answered 503"));
  EXPECT_EQ(answer(), "v1");
}

TEST_F(Swap, takes_the_first_version_away_again_when_it_does_not_start) {
  versions_.make(1, "dies");
  EXPECT_EQ(promote(1, 0)["outcome"], "failed");
  EXPECT_EQ(versions_.pointer(), "");
  EXPECT_TRUE(conductor_.service("web").is_null());
}

TEST_F(Swap, drains_first_where_two_must_not_run_at_once) {
  versions_.edit().swap = supervise::SwapMode::drain_first;
  make_v1_live();
  versions_.make(2, "ok");
  EXPECT_EQ(promote(2, 1)["outcome"], "kept");
  EXPECT_EQ(answer(), "v2");
  EXPECT_EQ(read(conductor_.home().state() / "events"), "v1 started\nv1 stopped\nv2 started\n");
}

TEST_F(Swap, starts_the_old_version_again_when_the_new_one_fails_after_a_drain) {
  versions_.edit().swap = supervise::SwapMode::drain_first;
  make_v1_live();
  versions_.make(2, "dies");
  EXPECT_EQ(promote(2, 1)["outcome"], "failed");
  EXPECT_EQ(conductor_.service("web")["state"], "running");
  EXPECT_EQ(answer(), "v1");
  EXPECT_EQ(read(conductor_.home().state() / "events"), "v1 started\nv1 stopped\nv2 started\nv1 started\n");
}

TEST_F(Swap, does_nothing_for_the_version_that_is_live) {
  make_v1_live();
  EXPECT_EQ(promote(1, 1)["outcome"], "kept");
  EXPECT_EQ(conductor_.service("web")["pid"], pid_);
  EXPECT_THAT(conductor_.steps(cycle_), ElementsAre("planned", "swapping", "kept", "done"));
}

TEST_F(Swap, refuses_a_second_one_at_the_same_time) {
  make_v1_live();
  versions_.make(2, "ok");
  versions_.edit().probation = milliseconds(60'000);
  conductor_.call("cycle.begin", versions_.promote(2, 1));
  EXPECT_ERROR(ErrorKind::conflict, conductor_.try_call("cycle.begin", versions_.promote(1, 2)));
  EXPECT_ERROR(ErrorKind::conflict, conductor_.try_call("service.stop", {{"name", "web"}}));
}

TEST_F(Swap, is_not_robbed_of_its_service_by_a_remove_that_waited_for_the_old_one) {
  versions_.make(1, "lingers");
  make_v1_live();
  Result<Json> removed;
  std::thread remover([&] { removed = conductor_.try_call("service.remove", {{"name", "web"}}); });
  wait_until([&] { return conductor_.service("web")["pid"] == 0; });
  versions_.make(2, "ok");
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  wait_until([&] { return conductor_.service("web")["version"] == 2; });
  ::kill(pid_, SIGKILL);
  remover.join();
  EXPECT_ERROR(ErrorKind::conflict, removed);
  EXPECT_EQ(conductor_.call("activation.wait", {{"cycle", cycle_}})["outcome"], "kept");
  EXPECT_EQ(answer(), "v2");
}

TEST_F(Swap, is_not_begun_again_by_a_restart_that_waited_for_the_old_one) {
  versions_.edit().swap = supervise::SwapMode::drain_first;
  versions_.make(1, "lingers");
  make_v1_live();
  Result<Json> restarted;
  std::thread client([&] { restarted = conductor_.try_call("service.restart", {{"name", "web"}}); });
  wait_until([&] { return conductor_.service("web")["pid"] == 0; });
  versions_.make(2, "ok");
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  ::kill(pid_, SIGKILL);
  client.join();
  EXPECT_ERROR(ErrorKind::conflict, restarted);
  EXPECT_EQ(conductor_.call("activation.wait", {{"cycle", cycle_}})["outcome"], "kept");
  EXPECT_EQ(read(conductor_.home().state() / "events"), "v1 started\nv2 started\n");
}

TEST_F(Swap,
       leaves_nothing_running_when_the_conductor_is_stopped_in_the_middle_and_goes_on_at_its_next_start) {
  make_v1_live();
  versions_.make(2, "never_ready");
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  wait_until([&] { return versions_.processes(2) != 0; });
  conductor_.stop(true);
  EXPECT_EQ(versions_.processes(1), 0);
  EXPECT_EQ(versions_.processes(2), 0);

  versions_.make(2, "ok");
  conductor_.start();
  EXPECT_EQ(conductor_.call("activation.wait", {{"cycle", cycle_}})["outcome"], "kept");
  EXPECT_EQ(answer(), "v2");
  EXPECT_EQ(versions_.processes(1), 0);
  EXPECT_EQ(versions_.processes(2), 1);
}

TEST_F(Swap, goes_on_with_its_probation_when_the_conductor_was_stopped_with_its_services) {
  make_v1_live();
  versions_.make(2, "ok");
  versions_.edit().probation = milliseconds(2'000);
  cycle_ = conductor_.call("cycle.begin", versions_.promote(2, 1))["cycle"].get<std::int64_t>();
  ASSERT_TRUE(conductor_.reaches("verifying"));
  conductor_.stop(true);
  EXPECT_EQ(versions_.processes(2), 0);
  conductor_.start();
  EXPECT_EQ(conductor_.call("activation.wait", {{"cycle", cycle_}})["outcome"], "kept");
  EXPECT_EQ(answer(), "v2");
  EXPECT_EQ(versions_.processes(1), 0);
  EXPECT_EQ(versions_.processes(2), 1);
}

TEST_F(Swap, moves_only_the_pointer_of_a_project_without_services) {
  Json params = versions_.promote(1, 0);
  params["services"] = Json::array();
  const Json begun = conductor_.call("cycle.begin", params);
  EXPECT_EQ(conductor_.call("activation.wait", begun)["outcome"], "kept");
  EXPECT_EQ(versions_.pointer(), "versions/v1");
}

TEST_F(Swap, goes_back_to_a_program_that_was_no_version) {
  // The worker that the command line brings along runs as version 0, from wherever it was built.
  const std::filesystem::path elsewhere = conductor_.home().state() / "bootstrap";
  write(elsewhere / "version", "v0");
  write(elsewhere / "behaviour", "ok");
  std::filesystem::create_directories(elsewhere / "bin");
  std::filesystem::copy_file(versions_.folder(1) / "bin/test_service", elsewhere / "bin/test_service");
  Json params = versions_.ensure(1);
  params["directory"] = elsewhere.string();
  params["version"] = 0;
  address_ = conductor_.call("service.ensure", params)["sockets"][0];
  ASSERT_EQ(answer(), "v0");

  versions_.edit().probation = milliseconds(60'000);
  cycle_ = conductor_.call("cycle.begin", versions_.promote(1, 0))["cycle"].get<std::int64_t>();
  ASSERT_TRUE(conductor_.reaches("verifying"));
  ASSERT_EQ(answer(), "v1");
  for (int crash = 1; crash <= 3; ++crash) (void)http_get(address_, "/die");
  EXPECT_EQ(conductor_.call("activation.wait", {{"cycle", cycle_}})["outcome"], "rolled_back");
  EXPECT_EQ(answer(), "v0");
  EXPECT_EQ(versions_.pointer(), "");
  EXPECT_EQ(conductor_.service("web")["version"], 0);
}

TEST_F(Swap, stops_a_service_that_the_new_version_no_longer_has) {
  make_v1_live();
  versions_.make(2, "ok");
  Json params = versions_.promote(2, 1);
  params["services"] = Json::array();
  const Json begun = conductor_.call("cycle.begin", params);
  EXPECT_EQ(conductor_.call("activation.wait", begun)["outcome"], "kept");
  EXPECT_TRUE(conductor_.service("web").is_null());
  EXPECT_FALSE(os::start_ticks_of(pid_).has_value());
}

}  // namespace
}  // namespace sb::tests
