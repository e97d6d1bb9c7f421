// promote --canary, --bake, pause, resume, abort, pin and mark-good of an HTTP service under load.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "functional/http_service_test.h"
#include "support/installation.h"
#include "support/load_client.h"
#include "support/wait.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;
using tests::LoadReport;

// v1 and v2 were good in service, and v2 is live.
class Promotion : public HttpServiceTest {
 protected:
  void SetUp() override {
    HttpServiceTest::SetUp();
    host_.edit("version.h", "\"v1\"", "\"v2\"");
    host_.commit("Another version");
    const Finished second = host_.selfbuild({"update"});
    ASSERT_EQ(second.code, 0) << second.all();
    ASSERT_EQ(host_.live("http-service"), "v2");
  }
  void reaches(const std::string& step) {
    tests::wait_until([&] {
      const Json running = status()["activation"];
      return running.is_object() && running["step"] == step;
    });
  }
};

TEST_F(Promotion, loses_no_request_from_canary_to_bake_and_writes_a_receipt) {
  const auto client = load();
  const Finished promote =
      host_.selfbuild({"promote", "v1", "--canary", "5,50", "--canary-step", "500ms", "--bake", "500ms"});
  EXPECT_EQ(promote.code, 0) << promote.all();
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 2U) << to_json(report).dump(2);
  EXPECT_EQ(host_.live("http-service"), "v1");
  const Finished explain = host_.selfbuild({"explain"});
  EXPECT_THAT(explain.out, HasSubstr(" requests, 0 failed, longest gap "));
  EXPECT_THAT(explain.out, HasSubstr("steered"));
  const Json told = parse_json(host_.selfbuild({"explain", "--json"}).out).value_or(Json::object());
  EXPECT_EQ(told["receipt"]["failed"], 0);
  EXPECT_EQ(told["receipt"]["canary"].size(), 2U);
  EXPECT_EQ(told["receipt"]["digest"].get<std::string>().size(), 64U) << "its files were not checked";
  const Json shown = parse_json(host_.selfbuild({"show", "v1", "--json"}).out).value_or(Json::object());
  EXPECT_EQ(shown["receipt"], told["receipt"]);
}

TEST_F(Promotion, of_an_update_is_as_careful_as_the_commit_says) {
  host_.edit("selfbuild.yaml",
             "  test:", "  rollout: {canary: [20], canary_step: 300ms, bake: 300ms}\n  test:");
  host_.edit("version.h", "\"v2\"", "\"v3\"");
  host_.commit("Carefully");
  const auto client = load();
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 0) << update.all();
  const Json told = parse_json(host_.selfbuild({"explain", "--json"}).out).value_or(Json::object());
  EXPECT_EQ(told["receipt"]["canary"][0]["percent"], 20);
  // A patch has no say in it, the command line has.
  const auto patch = host_.patch("selfbuild.yaml", "canary: [20]", "canary: [90]");
  const Finished patched = host_.selfbuild({"update", "--patch", patch.string(), "--canary", "10,30"});
  EXPECT_EQ(patched.code, 0) << patched.all();
  const Json again = parse_json(host_.selfbuild({"explain", "--json"}).out).value_or(Json::object());
  EXPECT_EQ(again["receipt"]["canary"].size(), 2U);
  EXPECT_EQ(again["receipt"]["canary"][0]["percent"], 10);
  expect_no_failure(client->stop());
  const Finished wrong = host_.selfbuild({"update", "--canary", "30,10"});
  EXPECT_EQ(wrong.code, 2) << wrong.all();
}

TEST_F(Promotion, is_paused_resumed_and_aborted_without_losing_a_request) {
  const auto client = load();
  const int pid = service().at("pid").get<int>();
  tests::Background promote = host_.selfbuild_in_background({"promote", "v1", "--bake", "10m"});
  reaches("baking");
  const Finished pause = host_.selfbuild({"pause"});
  EXPECT_EQ(pause.code, 0) << pause.all();
  EXPECT_THAT(pause.out, HasSubstr("is held at step \"baking\""));
  EXPECT_TRUE(status()["activation"]["paused"].get<bool>());
  EXPECT_EQ(host_.selfbuild({"resume"}).code, 0);
  EXPECT_FALSE(status()["activation"]["paused"].get<bool>());
  EXPECT_EQ(host_.selfbuild({"abort"}).code, 0);
  EXPECT_EQ(promote.wait().code, 3);
  EXPECT_TRUE(client->wait_until([](const LoadReport& now) { return now.ok >= 1'100; }));
  expect_no_failure(client->stop());
  EXPECT_EQ(host_.live("http-service"), "v2");
  EXPECT_EQ(service().at("pid").get<int>(), pid) << "the old process was not gone back to";
  EXPECT_EQ(service().at("pin"), "");
  const Finished idle = host_.selfbuild({"pause"});
  EXPECT_EQ(idle.code, 1);
  EXPECT_THAT(idle.err, HasSubstr("nothing is being put into service"));
}

TEST_F(Promotion, is_refused_while_the_service_is_pinned) {
  const Finished pin = host_.selfbuild({"pin"});
  EXPECT_EQ(pin.code, 0) << pin.all();
  EXPECT_EQ(pin.out, "http-service stays at v2 until selfbuild unpin http-service.\n");
  const Finished promote = host_.selfbuild({"promote", "v1"});
  EXPECT_EQ(promote.code, 1);
  EXPECT_THAT(promote.err, HasSubstr("service http-service is pinned at v2: by cli:"));
  EXPECT_THAT(promote.err, HasSubstr("selfbuild unpin http-service"));
  EXPECT_EQ(host_.live("http-service"), "v2");
  EXPECT_EQ(host_.selfbuild({"unpin", "http-service"}).code, 0);
  EXPECT_EQ(host_.selfbuild({"promote", "v1"}).code, 0);
}

TEST_F(Promotion, goes_back_by_itself_once_and_is_frozen_then) {
  const auto patch = host_.patch("version.h", "OPTIONS \"\"", "OPTIONS \"--unhealthy-after 300\"");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(update.code, 3) << update.all();
  EXPECT_EQ(service().at("pin"), "frozen");
  EXPECT_THAT(service().at("pin_reason").get<std::string>(), HasSubstr("v3 was taken back"));
  const Finished refused = host_.selfbuild({"promote", "v3"});
  EXPECT_EQ(refused.code, 1) << "a version that was just taken back";
  const Finished good = host_.selfbuild({"mark-good", "v3"});
  EXPECT_EQ(good.code, 0) << good.all();
  EXPECT_EQ(good.out, "v3 of http-service is known to be good now; it was rolled back.\n");
  EXPECT_EQ(host_.selfbuild({"promote", "v1"}).code, 0) << "a person may";
  EXPECT_EQ(service().at("pin"), "");
}

}  // namespace
}  // namespace sb
