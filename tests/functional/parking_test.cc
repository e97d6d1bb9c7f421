// A program that parks what it has in memory finds it again: after a crash, in its next version, and when the
// conductor died with it.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/conversation.h"
#include "support/installation.h"
#include "support/wait.h"

namespace sb {
namespace {

using tests::Finished;

class Parking : public testing::Test {
 protected:
  void SetUp() override {
    host_.copy_project("http_project");
    host_.edit("version.h", "OPTIONS \"\"", "OPTIONS \"--park\"");
    host_.commit("Count the starts");
    const Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    address_ = service().at("sockets").at(0).get<std::string>();
  }
  [[nodiscard]] Json status() const {
    return parse_json(host_.selfbuild({"conductor", "status", "--json"}).out).value_or(Json::object());
  }
  [[nodiscard]] Json service() const {
    const Json now = status();
    for (const Json& candidate : now.at("services")) {
      if (candidate.at("name") == "http-service") return candidate;
    }
    return Json::object();
  }
  void kill_service() const { ASSERT_EQ(::kill(service().at("pid").get<int>(), SIGKILL), 0); }
  // Until it does: the process that was killed may still have answered.
  void wait_for_starts(int count) const {
    tests::wait_until([&] {
      const std::string answer =
          tests::talk(address_, "GET /starts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      return answer.ends_with("\r\n\r\n" + std::to_string(count) + "\n");
    });
  }

  tests::Installation host_;
  std::string address_;
};

TEST_F(Parking, outlives_crashes_swaps_and_the_conductor) {
  wait_for_starts(1);
  kill_service();
  wait_for_starts(2);
  const auto patch = host_.patch("version.h", "\"v1\"", "\"v2\"");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  ASSERT_EQ(update.code, 0) << update.all();
  wait_for_starts(3);
  const int pid = service().at("pid").get<int>();
  ASSERT_EQ(::kill(status().at("pid").get<int>(), SIGKILL), 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  wait_for_starts(4);
}

}  // namespace
}  // namespace sb
