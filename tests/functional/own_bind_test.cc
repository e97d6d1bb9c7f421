// A service that never heard of us, and binds by itself, under load: no request fails.
#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "functional/http_service_test.h"
#include "os/bind_filter.h"
#include "supervise/probe.h"
#include "support/conversation.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;
using tests::LoadReport;

class OwnBind : public HttpServiceTest {
 protected:
  void SetUp() override {
    const Status allowed = os::try_bind_filter();
    if (!allowed) GTEST_SKIP() << one_line(allowed.error());
    host_.copy_project("http_project");
    address_ = free_address();
    const std::string port = address_.substr(address_.rfind(':') + 1);
    host_.edit("version.h", "OPTIONS \"\"", "OPTIONS \"--listen " + port + "\"");
    host_.edit("selfbuild.yaml", "\"127.0.0.1:0\"", "\"" + address_ + "\", take: bind");
    host_.commit("Bind by itself");
    const Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("http-service"), "v1");
  }
  static std::string free_address() {
    const auto bound = supervise::bind_socket({.name = "free", .listen = "127.0.0.1:0"});
    return bound ? bound->address : "";
  }
  void make_v2() {
    host_.edit("version.h", "\"v1\"", "\"v2\"");
    host_.commit("Another version");
  }
  std::string ask(const std::string& path) const {
    return tests::talk(address_, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  std::string address_;
};

TEST_F(OwnBind, is_swapped_and_taken_back_under_load) {
  EXPECT_EQ(service()["steering"], "steered");
  const auto client = load();
  make_v2();
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_EQ(host_.live("http-service"), "v2");
  for (const char* version : {"v1", "v2", "v1"}) {
    const Finished promoted = host_.selfbuild({"promote", version});
    EXPECT_EQ(promoted.code, 0) << promoted.all();
    EXPECT_EQ(host_.live("http-service"), version);
  }
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 2U) << to_json(report).dump(2);
}

TEST_F(OwnBind, answers_what_it_has_begun_also_when_it_dies_at_sigterm) {
  host_.edit("version.h", "OPTIONS \"", "OPTIONS \"--die-at-sigterm --work 300 ");
  host_.edit("selfbuild.yaml", "ready: {notify: true}", "ready: {tcp: http}");
  host_.commit("Know no signal");
  const Finished before = host_.selfbuild({"update"});
  ASSERT_EQ(before.code, 0) << before.all();
  make_v2();
  std::atomic<bool> over = false;
  std::atomic<int> answered = 0;
  std::atomic<int> cut = 0;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      while (!over) ++(ask("/").starts_with("HTTP/1.1 200") ? answered : cut);
    });
  }
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 0) << update.all();
  over = true;
  clients.clear();
  EXPECT_EQ(cut, 0);
  EXPECT_GE(answered, 20);
}

TEST_F(OwnBind, is_rejected_before_any_user_reaches_it) {
  const auto client = load();
  host_.edit("version.h", "OPTIONS \"", "OPTIONS \"--crash-at-start ");
  host_.commit("Crash");
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 1) << update.all();
  EXPECT_EQ(host_.live("http-service"), "v1");
  const LoadReport report = client->stop();
  expect_no_failure(report);
  EXPECT_EQ(report.versions.size(), 1U);
}

TEST_F(OwnBind, waits_for_nobody_but_the_backlog_when_it_was_killed) {
  const Json before = service();
  ASSERT_EQ(::kill(before.at("pid").get<int>(), SIGKILL), 0);
  EXPECT_THAT(ask("/"), HasSubstr("v1")) << "no connection is refused";
  EXPECT_EQ(service().at("sockets"), before.at("sockets"));
}

TEST_F(OwnBind, outlives_kill_9_of_the_conductor_and_is_swapped_by_the_next) {
  const auto client = load();
  const Json before = service();
  ASSERT_EQ(::kill(status().at("pid").get<int>(), SIGKILL), 0);
  make_v2();
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_EQ(host_.live("http-service"), "v2");
  EXPECT_NE(service()["pid"], before["pid"]);
  expect_no_failure(client->stop());
}

}  // namespace
}  // namespace sb
