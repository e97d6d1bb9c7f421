// A service of which no version can be started: its port answers all the same, and it comes back by itself.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/wait.h"

namespace sb {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using tests::Finished;

class SafeMode : public testing::Test {
 protected:
  void SetUp() override {
    host_.copy_project("http_project");
    const Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    before_ = service();
    address_ = before_.at("sockets").at(0).get<std::string>();
  }
  [[nodiscard]] Json service() const {
    const Finished finished = host_.selfbuild({"conductor", "status", "--json"});
    const Json status = parse_json(finished.out).value_or(Json::object());
    for (const Json& candidate : status.at("services")) {
      if (candidate.at("name") == "http-service") return candidate;
    }
    return Json::object();
  }
  [[nodiscard]] std::filesystem::path program() const {
    return host_.home().version("http-service", 1) / "bin/http_service";
  }
  [[nodiscard]] std::string ask(const std::string& accept) const {
    return tests::talk(address_,
                       "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: " + accept + "\r\n\r\n");
  }

  void break_it() {
    using std::filesystem::perms;
    usual_ = std::filesystem::status(program()).permissions();
    std::filesystem::permissions(program(), perms::owner_read);
    ASSERT_EQ(::kill(before_.at("pid").get<int>(), SIGKILL), 0);
  }
  void mend_it() const { std::filesystem::permissions(program(), usual_); }
  // A button of the page.
  [[nodiscard]] std::string press(const std::string& act, const std::string& code) const {
    const std::string form = "code=" + code + "&act=" + act;
    return tests::talk(address_,
                       "POST /.selfbuild/act HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                           std::to_string(form.size()) + "\r\n\r\n" + form);
  }

  tests::Installation host_;
  std::filesystem::perms usual_{};
  Json before_;
  std::string address_;
};

TEST_F(SafeMode, answers_for_a_program_that_cannot_be_executed_until_it_can) {
  break_it();

  // Whoever comes waits until it is clear that there is nobody else to answer.
  EXPECT_THAT(ask("text/html"),
              AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"),
                    HasSubstr("http-service v1 cannot be started"), HasSubstr("Permission denied"),
                    HasSubstr("v1 known_good"), HasSubstr("selfbuild update")));
  const std::string answer = ask("application/json");
  const Json body = parse_json(answer.substr(answer.find("\r\n\r\n") + 4)).value_or(Json::object());
  EXPECT_EQ(body.value("service", ""), "http-service") << answer;
  EXPECT_EQ(service().at("state"), "safe mode");
  EXPECT_THAT(host_.selfbuild({"status"}).out, HasSubstr("safe mode"));

  mend_it();
  tests::wait_until([&] { return ask("*/*").starts_with("HTTP/1.1 200 "); });
  const Json after = service();
  EXPECT_EQ(after.at("state"), "running");
  EXPECT_EQ(after.at("sockets"), before_.at("sockets"));
}

TEST_F(SafeMode, starts_a_service_at_once_for_who_can_read_the_code) {
  break_it();
  ASSERT_THAT(ask("text/html"), HasSubstr("Start it again now"));
  const std::filesystem::path file = host_.home().service("http-service") / "safe-mode.code";
  const std::string code(trim(tests::read(file)));
  EXPECT_THAT(press("restart", code + "0"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(press("rollback+1", code), StartsWith("HTTP/1.1 409 ")) << "there is no version before";
  mend_it();
  const std::string pressed = press("restart", code);
  // Unless it was just started by itself, and the service, or its conductor, says so.
  EXPECT_THAT(pressed, testing::AnyOf(StartsWith("HTTP/1.1 303 "), StartsWith("HTTP/1.1 400 "),
                                      StartsWith("HTTP/1.1 409 ")));
  tests::wait_until([&] { return ask("*/*").starts_with("HTTP/1.1 200 "); });
  tests::wait_until([&] { return !std::filesystem::exists(file); });
  if (!pressed.starts_with("HTTP/1.1 303 ")) return;
  tests::wait_until([&] {
    const std::string rows = host_.selfbuild({"audit"}).out;
    return rows.find("safe mode") != std::string::npos && rows.find("service.restart") != std::string::npos;
  });
}

}  // namespace
}  // namespace sb
