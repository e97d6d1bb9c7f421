// An HTTP service that is swapped, rolled back and orphaned under load: no request fails.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "functional/http_service_test.h"
#include "os/file_system.h"
#include "os/process.h"
#include "support/installation.h"
#include "support/load_client.h"
#include "support/result_matchers.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;
using tests::LoadReport;

class HttpSwap : public HttpServiceTest {
 protected:
  std::filesystem::path next_version() { return host_.patch("version.h", "\"v1\"", "\"v2\""); }
};

TEST_F(HttpSwap, loses_no_request_and_answers_with_both_versions) {
  const auto client = load();
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 2U) << to_json(report).dump(2);
}

TEST_F(HttpSwap, costs_what_status_and_doctor_say_beforehand) {
  const Json status = parse_json(host_.selfbuild({"status", "--json"}).out).value_or(Json::object());
  EXPECT_EQ(status.at("services").at(0).at("level"), "drains");
  EXPECT_THAT(host_.selfbuild({"status"}).out, HasSubstr("(steered, drains)"));
  const int pid = service().at("pid").get<int>();
  const Finished doctor = host_.selfbuild({"doctor", "http-service"});
  EXPECT_EQ(doctor.code, 0) << doctor.all();
  EXPECT_THAT(doctor.out, HasSubstr("a swap     costs its users nothing"));
  EXPECT_EQ(service().at("pid"), pid) << "it was run aside";
  const Finished unknown = host_.selfbuild({"doctor", "http-servise"});
  EXPECT_EQ(unknown.code, 1) << unknown.all();
  EXPECT_THAT(unknown.err, HasSubstr("did you mean \"http-service\"?"));
}

TEST_F(HttpSwap, rolls_back_an_unhealthy_version_without_losing_a_request) {
  const auto client = load();
  const auto patch = host_.patch("version.h", "OPTIONS \"\"", "OPTIONS \"--unhealthy-after 300\"");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(update.code, 3) << update.all();
  EXPECT_EQ(host_.live("http-service"), "v1");
  expect_no_failure(client->stop());
}

TEST_F(HttpSwap, takes_back_a_version_that_dies_three_times_in_its_probation) {
  host_.edit("selfbuild.yaml", "probation: 2s", "probation: 10m");
  host_.edit("version.h", "\"v1\"", "\"v2\"");
  host_.commit("Take your time");
  tests::Background update = host_.selfbuild_in_background({"update"});
  Json now = service();
  while (now.at("version") != 2) now = service();
  for (int i = 0; i < 3; ++i) {
    const int pid = now.at("pid").get<int>();
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    while (i < 2 && (now.at("pid") == pid || now.at("pid") == 0)) now = service();
  }
  const Finished finished = update.wait();
  EXPECT_EQ(finished.code, 3) << finished.all();
  EXPECT_THAT(finished.all(), HasSubstr("it ended 3 times: killed by SIGKILL"));
  EXPECT_EQ(host_.live("http-service"), "v1");
  EXPECT_EQ(service().at("version"), 1);
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

TEST_F(HttpSwap, loses_no_request_when_another_conductor_takes_over) {
  const auto client = load();
  const Json before = service();
  const std::filesystem::path file = host_.scratch() / "next-conductor";
  std::filesystem::copy_file(host_.environment.at("SELFBUILD_CONDUCTOR"), file);
  std::ofstream(file, std::ios::app) << "another one";
  const Finished upgrade = host_.selfbuild({"conductor", "upgrade", file.string(), "--json"});
  EXPECT_EQ(upgrade.code, 0) << upgrade.all();
  const Json told = parse_json(upgrade.out).value_or(Json::object());
  EXPECT_EQ(told["outcome"], "taken_over");
  const Json now = status();
  EXPECT_EQ(now["program"]["path"], told["program"]);
  EXPECT_EQ(now["program"]["previous"], told["previous"]);
  EXPECT_EQ(now["program"]["boots"], 2);
  EXPECT_EQ(now["program"]["deaths"], 0);
  EXPECT_EQ(service()["pid"], before["pid"]);
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 2U) << to_json(report).dump(2);
}

TEST_F(HttpSwap, service_outlives_kill_9_of_conductor_and_keeper_and_is_adopted_by_the_next) {
  const auto client = load();
  const Json before = service();
  const auto keeper =
      static_cast<pid_t>(std::stol(os::read_file(host_.home().state() / "keeper.lock").value_or("0")));
  ASSERT_GT(keeper, 0);
  const pid_t conductor = status().at("pid").get<pid_t>();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_EQ(::kill(conductor, SIGKILL), 0);
  EXPECT_EQ(host_.selfbuild({"conductor", "start"}).code, 0);
  EXPECT_EQ(service()["pid"], before["pid"]);
  EXPECT_EQ(service()["sockets"], before["sockets"]);
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_FALSE(os::start_ticks_of(before["pid"].get<pid_t>()).has_value()) << "two copies of it run";
  expect_no_failure(client->stop());
}

TEST_F(HttpSwap, service_outlives_kill_9_of_the_keeper_and_is_swapped_by_the_same_conductor) {
  const auto client = load();
  const Json before = status();
  ASSERT_EQ(
      ::kill(static_cast<pid_t>(std::stol(os::read_file(host_.home().state() / "keeper.lock").value_or("0"))),
             SIGKILL),
      0);
  const Finished update = host_.selfbuild({"update", "--patch", next_version().string()});
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_EQ(status()["pid"], before["pid"]);
  expect_no_failure(client->stop());
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
