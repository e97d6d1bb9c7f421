// ServiceSpec as JSON: what goes out comes in again, and everything else is refused by name.
#include "supervise/service_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "supervise/address.h"
#include "support/result_matchers.h"

namespace sb::supervise {
namespace {

using ::testing::HasSubstr;

TEST(ServiceSpec, survives_json_unchanged) {
  ServiceSpec spec;
  spec.name = "web";
  spec.command = {"bin/web", "--port", "80"};
  spec.environment = {"A=b", "C="};
  spec.sockets = {{.name = "http", .listen = "[::1]:80"},
                  {.name = "ctl", .listen = "unix:/run/ctl", .take = Take::automatic}};
  spec.ready.kind = ProbeSpec::Kind::command;
  spec.ready.command = {"bin/check"};
  spec.health.kind = ProbeSpec::Kind::http;
  spec.health.address = "http";
  spec.health.path = "/health";
  spec.health.interval = std::chrono::milliseconds(123);
  spec.health.failures = 7;
  spec.health.successes = 2;
  spec.start = spec.health;
  spec.swap = SwapMode::drain_first;
  spec.safe_mode = SafeModeKind::none;
  spec.probation = std::chrono::milliseconds(0);
  const Json json = to_json(spec);
  ASSERT_OK(const ServiceSpec again, service_from_json(json));
  EXPECT_EQ(to_json(again), json);
  EXPECT_EQ(again.swap, SwapMode::drain_first);
  EXPECT_EQ(again.safe_mode, SafeModeKind::none);
  EXPECT_EQ(again.health.failures, 7);
  EXPECT_EQ(again.start.successes, 2);
  EXPECT_EQ(again.sockets, spec.sockets);
  EXPECT_EQ(again.sockets[1].take, Take::automatic);
  EXPECT_FALSE(json["sockets"][0].contains("take")) << "a conductor from before it had a meaning refuses it";
}

TEST(ServiceSpec, needs_only_a_name_and_a_command) {
  ASSERT_OK(const ServiceSpec spec, service_from_json({{"name", "a"}, {"command", {"x"}}}));
  EXPECT_EQ(spec.start_timeout, std::chrono::milliseconds(10'000));
  EXPECT_EQ(spec.swap, SwapMode::overlap);
  EXPECT_FALSE(spec.standby);
  EXPECT_FALSE(to_json(spec).contains("standby")) << "a conductor from before it had a meaning refuses it";
  EXPECT_FALSE(to_json(spec).contains("compare")) << "the same";
}

TEST(ServiceSpec, keeps_what_is_compared) {
  const Json json{{"name", "a"}, {"command", {"x"}}, {"compare", {"memory", "errors"}}};
  ASSERT_OK(const ServiceSpec spec, service_from_json(json));
  EXPECT_TRUE(spec.compare.memory);
  EXPECT_TRUE(spec.compare.errors);
  EXPECT_FALSE(spec.compare.latency);
  ASSERT_OK(const ServiceSpec again, service_from_json(to_json(spec)));
  EXPECT_EQ(to_json(again), to_json(spec));
}

TEST(ServiceSpec, keeps_a_standby) {
  ASSERT_OK(const ServiceSpec spec,
            service_from_json({{"name", "a"}, {"command", {"x"}}, {"standby", true}}));
  EXPECT_TRUE(spec.standby);
  ASSERT_OK(const ServiceSpec again, service_from_json(to_json(spec)));
  EXPECT_TRUE(again.standby);
}

struct Bad {
  const char* json;
  const char* says;
};

TEST(ServiceSpec, refuses_what_has_no_meaning_and_names_it) {
  const std::vector<Bad> cases{
      {R"([])", "must be an object"},
      {R"({"command":["x"]})", "\"name\" is missing"},
      {R"({"name":"a"})", "needs a command"},
      {R"({"name":"a","command":["x"],"sockets":[{"name":"a","listen":"[::1]:80","take":"steal"}]})",
       "inherit, bind or auto"},
      {R"({"name":"a","command":[]})", "needs a command"},
      {R"({"name":"a","command":"x"})", "array of strings"},
      {R"({"name":"../a","command":["x"]})", "no name for a service"},
      {R"({"name":"","command":["x"]})", "no name for a service"},
      {R"({"name":"a","command":["x"],"comand":1})", "did you mean \"command\""},
      {R"({"name":"a","command":["x"],"environment":["X"]})", "not NAME=value"},
      {R"({"name":"a","command":["x\u0000y"]})", "NUL"},
      {R"({"name":"a","command":["x"],"swap":"both"})", "overlap or drain-first"},
      {R"({"name":"a","command":["x"],"safe_mode":"off"})", "details, brief or none"},
      {R"({"name":"a","command":["x"],"swap":"drain-first","standby":true})", "it runs twice"},
      {R"({"name":"a","command":["x"],"compare":["disk"]})", "knows errors, latency and memory"},
      {R"({"name":"a","command":["x"],"start_timeout_ms":0})", "start_timeout_ms"},
      {R"({"name":"a","command":["x"],"probation_ms":-1})", "probation_ms"},
      {R"({"name":"a","command":["x"],"probation_ms":"10s"})", "\"probation_ms\" must be"},
      {R"({"name":"a","command":["x"],"sockets":[{"name":"h","listen":"80"}]})", "no address"},
      {R"({"name":"a","command":["x"],"sockets":[{"name":"h:i","listen":"127.0.0.1:80"}]})",
       "no name for a socket"},
      {R"({"name":"a","command":["x"],"sockets":[{"name":"h","listen":"127.0.0.1:1"},{"name":"h","listen":"127.0.0.1:2"}]})",
       "two sockets named"},
      {R"({"name":"a","command":["x"],"health":{"kind":"ping"}})", "unknown kind"},
      {R"({"name":"a","command":["x"],"health":{"kind":"http"}})", "needs an address"},
      {R"({"name":"a","command":["x"],"health":{"kind":"http","address":"htp"},"sockets":[{"name":"http","listen":"127.0.0.1:1"}]})",
       "did you mean \"http\""},
      {R"({"name":"a","command":["x"],"health":{"kind":"http","address":"127.0.0.1:1","path":"x"}})",
       "begin with /"},
      {R"({"name":"a","command":["x"],"health":{"kind":"command"}})", "needs a command"},
      {R"({"name":"a","command":["x"],"health":{"kind":"notify"}})", "READY=1"},
      {R"({"name":"a","command":["x"],"ready":{"kind":"watchdog"}})", "watchdog"},
      {R"({"name":"a","command":["x"],"start":{"kind":"notify"}})", "has to be asked"},
      {R"({"name":"a","command":["x"],"start":{"kind":"none","successes":0}})", "successes"},
      {R"({"name":"a","command":["x"],"health":{"kind":"none","failures":0}})", "failures"},
      {R"({"name":"a","command":["x"],"health":{"kind":"none","interval_ms":1}})", "interval_ms"},
  };
  for (const Bad& bad : cases) {
    ASSERT_OK(const Json value, parse_json(bad.json));
    const Result<ServiceSpec> spec = service_from_json(value);
    ASSERT_FALSE(spec.has_value()) << bad.json;
    EXPECT_EQ(spec.error().kind, ErrorKind::usage) << bad.json;
    EXPECT_THAT(format_error(spec.error()), HasSubstr(bad.says)) << bad.json;
  }
}

TEST(Address, is_read_and_written_in_all_its_forms) {
  for (const char* text : {"127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", "unix:/run/x.sock"}) {
    ASSERT_OK(const Address address, parse_address(text));
    EXPECT_EQ(address.to_string(), text);
  }
  ASSERT_OK(const Address local, parse_address("localhost:1"));
  EXPECT_EQ(local.to_string(), "127.0.0.1:1");
  ASSERT_OK(const Address any, parse_address("[::]:1"));
  EXPECT_EQ(reachable(any).to_string(), "[::1]:1");
}

TEST(Address, refuses_names_and_nonsense) {
  for (const char* text : {"", "80", ":80", "example.org:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "127.0.0.1:8x", "unix:x", "[::1:80", "300.0.0.1:80"}) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(ErrorKind::usage, parse_address(text));
  }
}

}  // namespace
}  // namespace sb::supervise
