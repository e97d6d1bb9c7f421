// The template `counter`, as a user gets it: its number outlives a crash, the next version, the version that
// is put back, and the conductor.
#include <csignal>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/installation.h"

namespace sb {
namespace {

class StateDirectory : public testing::Test {
 protected:
  void SetUp() override {
    const tests::Finished made = host_.selfbuild_from(
        host_.scratch(), {"init", "--template", "counter", "--name", "counter", "repository"});
    ASSERT_EQ(made.code, 0) << made.all();
    host_.edit("selfbuild.yaml", "127.0.0.1:8080", "127.0.0.1:0");
    host_.edit("selfbuild.yaml", "probation: 10s", "probation: 100ms");
    (void)host_.git({"init", "--quiet", "--initial-branch", "main"});
    host_.commit("counter: first");
    const tests::Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    address_ = status()["services"][0]["sockets"][0];
  }
  [[nodiscard]] Json status() const {
    return parse_json(host_.selfbuild({"conductor", "status", "--json"}).out).value_or(Json::object());
  }
  [[nodiscard]] std::string visit() const {
    const std::string answer = tests::talk(address_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }

  tests::Installation host_;
  std::string address_;
};

TEST_F(StateDirectory, keeps_what_a_service_saved_through_every_process_that_it_has) {
  EXPECT_EQ(visit(), "visit 1\n");
  ASSERT_EQ(::kill(status()["services"][0]["pid"].get<int>(), SIGKILL), 0);
  EXPECT_EQ(visit(), "visit 2\n");

  const auto patch = host_.patch("src/visits.h", "FORMAT = 1", "FORMAT = 2");
  const tests::Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  ASSERT_EQ(update.code, 0) << update.all();
  EXPECT_EQ(visit(), "visit 3\n") << "the next version reads what the one before left";
  EXPECT_EQ(visit(), "visit 4\n");

  const tests::Finished back = host_.selfbuild({"rollback"});
  ASSERT_EQ(back.code, 0) << back.all();
  EXPECT_EQ(visit(), "visit 3\n") << "and the one that is put back does not know what its successor wrote";

  const Json before = status();
  ASSERT_EQ(::kill(before["pid"].get<int>(), SIGKILL), 0);
  ASSERT_EQ(::kill(before["services"][0]["pid"].get<int>(), SIGKILL), 0);
  EXPECT_EQ(visit(), "visit 4\n");
}

}  // namespace
}  // namespace sb
