// An HTTP service that is swapped, rolled back and orphaned under load: no request fails.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/installation.h"
#include "support/load_client.h"
#include "support/result_matchers.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;
using tests::LoadClient;
using tests::LoadReport;

class HttpSwap : public testing::Test {
 protected:
  void SetUp() override {
    host_.copy_project("http_project");
    const Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("http-service"), "v1");
  }

  Json status() {
    const Finished finished = host_.selfbuild({"conductor", "status", "--json"});
    return parse_json(finished.out).value_or(Json::object());
  }
  Json service() {
    const Json now = status();
    for (const Json& candidate : now.at("services")) {
      if (candidate.at("name") == "http-service") return candidate;
    }
    return Json::object();
  }
  std::unique_ptr<LoadClient> load() {
    tests::LoadSpec spec;
    spec.address = service().at("sockets").at(0).get<std::string>();
    auto client = LoadClient::start(spec);
    EXPECT_TRUE(client.has_value());
    // The old version answers before anything is changed.
    EXPECT_TRUE((*client)->wait_until([](const LoadReport& report) { return report.ok >= 200; }));
    return std::move(*client);
  }
  std::filesystem::path next_version() { return host_.patch("version.h", "\"v1\"", "\"v2\""); }

  static void expect_no_failure(const LoadReport& report) {
    EXPECT_EQ(report.failed, 0U) << to_json(report).dump(2);
    EXPECT_GE(report.sent, 1000U) << "too little load to prove anything";
  }
  tests::Installation host_;
};

TEST_F(HttpSwap, loses_no_request_and_answers_with_both_versions) {
  const auto client = load();
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 2U) << to_json(report).dump(2);
}

TEST_F(HttpSwap, rolls_back_an_unhealthy_version_without_losing_a_request) {
  const auto client = load();
  const auto patch = host_.patch("version.h", "OPTIONS \"\"", "OPTIONS \"--unhealthy-after 300\"");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(update.code, 3) << update.all();
  EXPECT_EQ(host_.live("http-service"), "v1");
  expect_no_failure(client->stop());
}

TEST_F(HttpSwap, refuses_a_version_that_never_gets_ready_before_any_request_reaches_it) {
  const auto client = load();
  const auto patch = host_.patch("version.h", "OPTIONS \"\"", "OPTIONS \"--crash-at-start\"");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(update.code, 1) << update.all();
  const LoadReport report = client->stop();
  EXPECT_EQ(report.failed, 0U) << to_json(report).dump(2);
  EXPECT_EQ(report.versions.size(), 1U);
}

TEST_F(HttpSwap, service_outlives_kill_9_of_the_conductor_and_is_swapped_by_the_next) {
  const auto client = load();
  const int pid = service().at("pid").get<int>();
  ASSERT_EQ(::kill(status().at("pid").get<int>(), SIGKILL), 0);
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  expect_no_failure(client->stop());
  EXPECT_EQ(host_.live("http-service"), "v2");
  EXPECT_NE(service().at("pid").get<int>(), pid);
}

TEST_F(HttpSwap, service_that_was_killed_is_started_again_on_the_same_address) {
  const Json before = service();
  ASSERT_EQ(::kill(before.at("pid").get<int>(), SIGKILL), 0);
  Json after = service();
  while (after.at("pid") == before.at("pid") || after.at("state") != "running") after = service();
  EXPECT_EQ(after.at("sockets"), before.at("sockets"));
  EXPECT_EQ(after.at("version"), 1);
}

}  // namespace
}  // namespace sb
