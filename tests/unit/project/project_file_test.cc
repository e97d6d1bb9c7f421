// What a good selfbuild.yaml means.
#include "project/project_file.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/result_matchers.h"

namespace sb::project {
namespace {

using namespace std::chrono_literals;
using supervise::ProbeSpec;
using supervise::SwapMode;

constexpr std::string_view kFull = R"(apiVersion: selfbuild/v1
kind: Project
metadata: {name: hello}
spec:
  branch: main
  schedule: "17 3 * * *"
  build:
    preset: release
    options: [-DWITH_TESTS=ON]
    targets: [hello, hello_test]
    outputs: [bin/hello, share/]
    cache: {remote: "https://me@cache.example/selfbuild", write: false, secret_file: /etc/cache-password}
    timeout: 45m
    memory: 4G
    processes: 100
    log: 1G
    cpu: 1h
  test:
    ctest: [-L, unit]
    timeout: 90s
    memory: 1G
    processes: 50
  candidate: {memory: 128M, processes: 8}
  rollout: {canary: [5, 25], canary_step: 2s, bake: 1m}
---
apiVersion: selfbuild/v1
kind: Service
metadata: {name: hello}
spec:
  command: [bin/hello, --port, 8080]
  environment: {GREETING: hi, EMPTY: ""}
  sockets: [{name: http, listen: "127.0.0.1:8080"}, {name: admin, listen: "unix:/run/hello.sock", take: bind}]
  ready: {notify: true}
  health: {http: "http:/health", interval: 500ms, timeout: 3s, failures: 5}
  swap: drain-first
  safe_mode: brief
  start_timeout: 20s
  drain_timeout: 0s
  probation: 1m
  compare: [latency, memory]
---
apiVersion: selfbuild/v1
kind: Service
metadata: {name: hello-worker}
spec:
  command: [/usr/bin/env, worker]
  standby: true
)";

constexpr std::string_view kSmallest = R"(apiVersion: selfbuild/v1
kind: Project
metadata: {name: hello}
spec:
  build: {outputs: [hello]}
)";

// A Service beside the smallest Project, with the given lines in its spec.
Result<supervise::ServiceSpec> service_with(const std::string& lines) {
  const std::string text = std::string(kSmallest) +
                           "---\napiVersion: selfbuild/v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
                           "  command: [hello]\n  sockets: [{name: http, listen: \"127.0.0.1:80\"}]\n" +
                           lines;
  SB_TRY(ProjectFile file, parse_project_file(text, "f.yaml"));
  return file.services.at(0);
}

TEST(ProjectFile, reads_every_key) {
  ASSERT_OK(const ProjectFile file, parse_project_file(kFull, "selfbuild.yaml"));
  EXPECT_EQ(file.name, "hello");
  EXPECT_EQ(file.branch, "main");
  EXPECT_EQ(file.schedule, "17 3 * * *");
  EXPECT_EQ(file.build.preset, "release");
  EXPECT_EQ(file.build.options, std::vector<std::string>{"-DWITH_TESTS=ON"});
  EXPECT_EQ(file.build.targets, (std::vector<std::string>{"hello", "hello_test"}));
  EXPECT_EQ(file.build.outputs, (std::vector<std::string>{"bin/hello", "share"}));
  EXPECT_EQ(file.build.cache.url, "https://me@cache.example/selfbuild");
  EXPECT_FALSE(file.build.cache.write);
  EXPECT_EQ(file.build.cache.secret_file, "/etc/cache-password");
  EXPECT_EQ(file.build.cache.secret_environment, "");
  EXPECT_EQ(file.build.envelope.wall, 45min);
  EXPECT_EQ(file.build.envelope.memory_bytes, 4ULL << 30U);
  EXPECT_EQ(file.build.envelope.processes, 100U);
  EXPECT_EQ(file.build.envelope.output_bytes, 1ULL << 30U);
  EXPECT_EQ(file.build.envelope.cpu, 1h);
  EXPECT_EQ(file.test.ctest, (std::vector<std::string>{"-L", "unit"}));
  EXPECT_EQ(file.test.envelope.wall, 90s);
  EXPECT_EQ(file.candidate.memory_bytes, 128ULL << 20U);
  EXPECT_EQ(file.candidate.processes, 8U);
  EXPECT_EQ(file.rollout.canary, (std::vector{5, 25}));
  EXPECT_EQ(file.rollout.canary_step, 2s);
  EXPECT_EQ(file.rollout.bake, 1min);
  ASSERT_EQ(file.services.size(), 2U);
  const supervise::ServiceSpec& service = file.services[0];
  EXPECT_EQ(service.name, "hello");
  EXPECT_EQ(service.command, (std::vector<std::string>{"bin/hello", "--port", "8080"}));
  EXPECT_EQ(service.environment, (std::vector<std::string>{"GREETING=hi", "EMPTY="}));
  ASSERT_EQ(service.sockets.size(), 2U);
  EXPECT_EQ(service.sockets[1].listen, "unix:/run/hello.sock");
  EXPECT_EQ(service.sockets[0].take, supervise::Take::inherit);
  EXPECT_TRUE(service.compare.latency);
  EXPECT_TRUE(service.compare.memory);
  EXPECT_FALSE(service.compare.errors);
  EXPECT_EQ(service.sockets[1].take, supervise::Take::bind);
  EXPECT_EQ(service.ready.kind, ProbeSpec::Kind::notify);
  EXPECT_EQ(service.health.kind, ProbeSpec::Kind::http);
  EXPECT_EQ(service.health.address, "http");
  EXPECT_EQ(service.health.path, "/health");
  EXPECT_EQ(service.health.interval, 500ms);
  EXPECT_EQ(service.health.timeout, 3s);
  EXPECT_EQ(service.health.failures, 5);
  EXPECT_EQ(service.swap, SwapMode::drain_first);
  EXPECT_EQ(service.safe_mode, supervise::SafeModeKind::brief);
  EXPECT_EQ(service.start_timeout, 20s);
  EXPECT_EQ(service.drain_timeout, 0s);
  EXPECT_EQ(service.probation, 60s);
  EXPECT_EQ(file.services[1].swap, SwapMode::overlap);
}

TEST(ProjectFile, has_defaults_for_everything_but_name_and_outputs) {
  ASSERT_OK(const ProjectFile file, parse_project_file(kSmallest, "selfbuild.yaml"));
  EXPECT_EQ(file.branch, "");
  EXPECT_TRUE(file.build.targets.empty());
  EXPECT_EQ(file.build.cache.url, "");
  EXPECT_TRUE(file.build.cache.write);
  EXPECT_GT(file.build.envelope.memory_bytes.value_or(0), 0U);
  EXPECT_EQ(file.build.envelope.processes, 4096U);
  EXPECT_EQ(file.build.envelope.wall, 30min);
  EXPECT_EQ(file.test.envelope.memory_bytes, 2ULL << 30U);
  EXPECT_EQ(file.test.envelope.processes, 512U);
  EXPECT_EQ(file.test.envelope.wall, 10min);
  EXPECT_TRUE(file.test.ctest.empty());
  EXPECT_TRUE(file.test.command.empty());
  EXPECT_EQ(file.candidate.memory_bytes, 256ULL << 20U);
  EXPECT_EQ(file.candidate.processes, 64U);
  for (const sandbox::Envelope* envelope : {&file.build.envelope, &file.test.envelope, &file.candidate}) {
    EXPECT_EQ(envelope->output_bytes, 64ULL << 20U);
    EXPECT_FALSE(envelope->cpu.has_value());
  }
  EXPECT_TRUE(file.services.empty());
}

TEST(ProjectFile, writes_services_that_the_conductor_accepts) {
  ASSERT_OK(const ProjectFile file, parse_project_file(kFull, "selfbuild.yaml"));
  for (const supervise::ServiceSpec& service : file.services) {
    ASSERT_OK(const supervise::ServiceSpec back, supervise::service_from_json(supervise::to_json(service)));
    EXPECT_EQ(back.command, service.command);
    EXPECT_EQ(back.health.address, service.health.address);
  }
}

TEST(ProjectFile, reads_each_kind_of_probe) {
  ASSERT_OK(auto none, service_with("  ready: none\n  health: none\n"));
  EXPECT_EQ(none.ready.kind, ProbeSpec::Kind::none);
  ASSERT_OK(auto tcp, service_with("  ready: {tcp: http}\n"));
  EXPECT_EQ(tcp.ready.kind, ProbeSpec::Kind::tcp);
  EXPECT_EQ(tcp.ready.address, "http");
  ASSERT_OK(auto watchdog, service_with("  health: {watchdog: 2s}\n"));
  EXPECT_EQ(watchdog.health.kind, ProbeSpec::Kind::watchdog);
  EXPECT_EQ(watchdog.health.interval, 2s);
  ASSERT_OK(auto command, service_with("  health: {command: [bin/ask, \"-q\"], timeout: 1s}\n"));
  EXPECT_EQ(command.health.kind, ProbeSpec::Kind::command);
  EXPECT_EQ(command.health.command, (std::vector<std::string>{"bin/ask", "-q"}));
}

TEST(ProjectFile, splits_an_http_probe_into_address_and_path) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"http:/ready", "http", "/ready"},
      {"127.0.0.1:8080/a/b?c=d:/e", "127.0.0.1:8080", "/a/b?c=d:/e"},
      {"[::1]:8080/", "[::1]:8080", "/"},
      {"unix:/run/a.sock:/ready", "unix:/run/a.sock", "/ready"},
  };
  for (const auto& [text, address, path] : cases) {
    ASSERT_OK(auto service, service_with("  ready: {http: \"" + text + "\"}\n"));
    EXPECT_EQ(service.ready.address, address) << text;
    EXPECT_EQ(service.ready.path, path) << text;
  }
}

TEST(ProjectFile, reports_all_mistakes_in_the_order_of_the_file) {
  const auto file = parse_project_file(
      "apiVersion: selfbuild/v1\nkind: Project\nmetadata: {name: hello}\nspec:\n  biuld: {}\n  test: "
      "{memory: 1}\n"
      "  candidate: {procesess: 4}\n",
      "f.yaml");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_EQ(file.error().what, "f.yaml:5:3: unknown key \"biuld\" in spec; did you mean \"build\"?");
  EXPECT_EQ(file.error().log,
            "f.yaml:6:18: \"memory\" must be at least 1M, not 1\n"
            "f.yaml:7:15: unknown key \"procesess\" in candidate; did you mean \"processes\"?");
}

}  // namespace
}  // namespace sb::project
