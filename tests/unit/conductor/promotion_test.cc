// A promotion by the real conductor, with real sockets: canary, bake, and who holds or ends it.
#include <atomic>
#include <csignal>
#include <thread>

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Promotion : public ::testing::Test {
 protected:
  Promotion() : versions_((conductor_.start(), conductor_.home()), "web") {}
  void SetUp() override {
    ASSERT_EQ(end(begin(1, 0, Json::object()))["outcome"], "kept");
    address_ = conductor_.service("web")["sockets"][0];
    pid_ = conductor_.service("web")["pid"].get<int>();
    versions_.make(2, "ok");
  }

  std::int64_t begin(int number, int from, const Json& rollout) {
    Json params = versions_.promote(number, from);
    params["rollout"] = rollout;
    cycle_ = conductor_.call("cycle.begin", params)["cycle"].get<std::int64_t>();
    return cycle_;
  }
  Json end(std::int64_t cycle) { return conductor_.call("activation.wait", {{"cycle", cycle}}); }
  Json say(const std::string& what) {
    return conductor_.call("activation." + what, {{"by", "alice"}, {"project", "p"}});
  }
  [[nodiscard]] std::string answer() const { return http_get(address_).substr(0, 2); }
  [[nodiscard]] Json receipt() {
    const std::vector<history::JournalRecord> journal = conductor_.history().journal(cycle_).value();
    for (const history::JournalRecord& record : journal) {
      const Json detail = parse_json(record.detail).value_or(Json::object());
      if (detail.contains("receipt")) return detail["receipt"];
    }
    return nullptr;
  }

  ConductorProcess conductor_;
  TestVersions versions_;
  std::int64_t cycle_ = 0;
  std::string address_;
  int pid_ = 0;
};

TEST_F(Promotion, fails_no_request_from_canary_to_bake) {
  std::atomic<bool> enough = false;
  std::atomic<int> failed = 0;
  std::thread client([&] {
    while (!enough) failed += http_get(address_).empty() ? 1 : 0;
  });
  begin(2, 1, {{"canary", {5, 50}}, {"canary_step_ms", 300}, {"bake_ms", 300}});
  const Json outcome = end(cycle_);
  enough = true;
  client.join();
  EXPECT_EQ(outcome["outcome"], "kept") << outcome.dump() << conductor_.log();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(answer(), "v2");
  EXPECT_THAT(conductor_.steps(cycle_),
              ElementsAre("planned", "swapping", "started", "canary", "canary", "pointed", "baking",
                          "committed", "verifying", "kept", "done"));
  const Json measured = receipt();
  EXPECT_EQ(measured["mode"], "steered");
  EXPECT_EQ(measured["failed"], 0);
  EXPECT_GT(measured["served"], 0);
  EXPECT_EQ(measured["canary"].size(), 2U);
}

TEST_F(Promotion, goes_back_from_a_bake_to_the_process_that_ran_before) {
  begin(2, 1, {{"bake_ms", 600'000}});
  ASSERT_TRUE(conductor_.reaches("baking"));
  EXPECT_EQ(answer(), "v2");
  write(versions_.folder(2) / "sick", "");
  EXPECT_EQ(end(cycle_)["outcome"], "rolled_back");
  EXPECT_EQ(answer(), "v1");
  EXPECT_EQ(conductor_.service("web")["pid"], pid_) << "another process was started";
  EXPECT_EQ(conductor_.service("web")["pin"], "frozen");
  Json unattended = versions_.promote(2, 1);
  unattended["triggered_by"] = "nightly";
  EXPECT_ERROR(ErrorKind::refused, conductor_.try_call("cycle.begin", unattended));
}

TEST_F(Promotion, stays_paused_over_the_conductors_death_and_is_then_aborted) {
  begin(2, 1, {{"canary", {1}}, {"canary_step_ms", 100}});
  ASSERT_TRUE(conductor_.reaches("canary"));
  say("pause");
  conductor_.kill_and_wait();
  EXPECT_TRUE(conductor_.call("conductor.status")["activation"]["paused"].get<bool>());
  EXPECT_EQ(versions_.pointer(), "versions/v1");
  say("abort");
  const Json outcome = end(cycle_);
  EXPECT_EQ(outcome["outcome"], "failed");
  EXPECT_EQ(outcome["cause"], "aborted by alice");
  EXPECT_EQ(answer(), "v1");
  EXPECT_EQ(conductor_.service("web")["pid"], pid_);
}

TEST_F(Promotion, goes_on_when_it_is_resumed) {
  begin(2, 1, {{"bake_ms", 1}});
  say("pause");
  say("resume");
  EXPECT_EQ(end(cycle_)["outcome"], "kept");
  EXPECT_EQ(answer(), "v2");
}

TEST_F(Promotion, is_refused_for_a_pinned_service_until_it_is_unpinned) {
  conductor_.call("service.pin", {{"project", "p"}, {"by", "alice"}});
  EXPECT_EQ(conductor_.service("web")["pin_reason"], "by alice");
  const Result<Json> refused = conductor_.try_call("cycle.begin", versions_.promote(2, 1));
  EXPECT_ERROR(ErrorKind::refused, refused);
  EXPECT_EQ(refused.error().next, "selfbuild unpin web --project p");
  conductor_.call("service.unpin", {{"name", "web"}, {"by", "alice"}});
  EXPECT_EQ(end(begin(2, 1, Json::object()))["outcome"], "kept");
}

TEST_F(Promotion, has_nothing_to_pause_when_nothing_runs) {
  EXPECT_ERROR(ErrorKind::not_found, conductor_.try_call("activation.pause", {{"by", "alice"}}));
}

TEST_F(Promotion, is_refused_with_steps_that_make_no_sense) {
  for (const Json& steps : {Json::array({0}), Json::array({25, 5}), Json::array({100}), Json("5")}) {
    Json params = versions_.promote(2, 1);
    params["rollout"] = {{"canary", steps}};
    EXPECT_ERROR(ErrorKind::usage, conductor_.try_call("cycle.begin", params));
  }
}

}  // namespace
}  // namespace sb::tests
