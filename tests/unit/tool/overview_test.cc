// The screen of `selfbuild status`: what a person has to know of each service, in as many columns as there
// are.
#include "tool/selfbuild/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

class OverviewScreen : public testing::Test {
 protected:
  [[nodiscard]] std::string screen(int columns = 0) const {
    Overview overview;
    overview.conductor = std::make_shared<const Json>(Json{{"pid", 7},
                                                           {"started_ms", 1'000},
                                                           {"services", Json::array({service_})},
                                                           {"activation", activation_}});
    return overview_screen(overview, Console{.columns = columns}, 61'000);
  }
  Json service_{{"name", "web"},
                {"project", "shop"},
                {"version", 3},
                {"state", "running"},
                {"pid", 42},
                {"since_ms", 31'000},
                {"restarts", 0},
                {"status_text", "serving"},
                {"sockets", Json::array({"127.0.0.1:80"})},
                {"steering", "steered"},
                {"pin", ""},
                {"pin_reason", ""}};
  Json activation_ = nullptr;
};

TEST_F(OverviewScreen, of_a_service_that_is_well_is_a_line) {
  EXPECT_EQ(screen(),
            "nothing was ever built here\n\n"
            "conductor: pid 7, up 1 min\n"
            "SERVICE  VERSION  STATE    FOR   PID  RESTARTS  SOCKETS\n"
            "web      v3       running  30 s   42         0  127.0.0.1:80 (steered)\n");
}

TEST_F(OverviewScreen, says_why_a_service_is_not_well) {
  service_["state"] = "backoff";
  service_["status_text"] = "";
  service_["last_exit"] = "killed by signal 11";
  EXPECT_THAT(screen(), HasSubstr("killed by signal 11"));
}

TEST_F(OverviewScreen, says_what_thaws_a_service_that_was_taken_back) {
  service_["pin"] = "frozen";
  service_["pin_reason"] = "v4 was taken back";
  EXPECT_THAT(screen(), HasSubstr("frozen: v4 was taken back (selfbuild unpin web --project shop)"));
}

TEST_F(OverviewScreen, says_what_ends_a_pause) {
  activation_ = {{"project", "shop"}, {"step", "canary"}, {"paused", false}};
  EXPECT_THAT(screen(), Not(HasSubstr("resume")));
  activation_["paused"] = true;
  EXPECT_THAT(screen(),
              HasSubstr("the swap of shop is paused at canary: selfbuild resume, or selfbuild abort"));
}

TEST_F(OverviewScreen, is_never_wider_than_the_terminal) {
  service_["state"] = "backoff";
  service_["last_exit"] = std::string(200, 'x');
  service_["name"] = std::string(30, 'n');
  const std::string text = screen(40);
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    EXPECT_LE(width_of(text.substr(at, end - at)), 40) << text.substr(at, end - at);
}

}  // namespace
}  // namespace sb::tool
