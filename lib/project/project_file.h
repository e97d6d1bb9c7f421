// selfbuild.yaml: what a project says about how it is built, tested and run.
//
//   apiVersion: selfbuild/v1
//   kind: Project
//   metadata: {name: hello}
//   spec:
//     branch: main                      # what nightly follows; default: the branch of HEAD
//     schedule: "17 3 * * *"            # when the worker itself runs nightly (base/cron.h); default: never
//     build:
//       preset: release                 # or options: [-DCMAKE_BUILD_TYPE=Release]
//       targets: [hello, hello_test]    # default: all
//       outputs: [bin/hello]            # files or folders of the build folder that make a version
//       cache: {remote: "redis://host:6379/0", write: true, secret_environment: SELFBUILD_CACHE_PASSWORD}
//                                       # results of other machines; default: none. README.md, "A remote
//                                       cache"
//       timeout: 30m  memory: 4G  processes: 4096  log: 64M (what it may print)  cpu: 2h (default: no limit)
//     test:
//       ctest: [-L, unit]               # arguments for ctest; or command: [./smoke.sh]
//       timeout: 10m  memory: 2G  processes: 512  log: 64M  cpu: 20m
//     candidate: {memory: 256M, processes: 64, log: 64M, cpu: 1m}   # limits of the candidate run
//   ---
//   apiVersion: selfbuild/v1
//   kind: Service
//   metadata: {name: hello}
//   spec:
//     command: [bin/hello]
//     environment: {GREETING: hi}
//     sockets: [{name: http, listen: "127.0.0.1:8080", take: inherit}]   # or bind, auto: see supervise::Take
//     start: {tcp: http}                # asked until it is good; default: none
//     ready: {notify: true}             # or {http: "http:/ready"} {tcp: http} {unix: /path} {command: [...]}
//     health: {http: "http:/health", interval: 1s, timeout: 2s, failures: 3, successes: 1}
//     swap: overlap                     # or drain-first
//     safe_mode: details                # or brief, none: what is answered while no version can be started
//     start_timeout: 10s  drain_timeout: 10s  probation: 10s
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/remote_settings.h"
#include "sandbox/envelope.h"
#include "supervise/service_spec.h"

namespace sb::project {

// How an update goes into service; see activation::Rollout.
struct Rollout {
  std::vector<int> canary;  // percent of new connections, ascending
  std::chrono::milliseconds canary_step{5'000};
  std::chrono::milliseconds bake{0};
};

struct ProjectFile {
  std::string name;
  std::string branch;
  std::string schedule;  // a cron expression, or empty
  struct {
    std::string preset;
    std::vector<std::string> options;
    std::vector<std::string> targets;
    std::vector<std::string> outputs;
    cache::RemoteSettings cache;
    sandbox::Envelope envelope;
  } build;
  struct {
    std::vector<std::string> ctest;
    std::vector<std::string> command;  // empty: ctest
    sandbox::Envelope envelope;
  } test;
  sandbox::Envelope candidate;
  Rollout rollout;
  std::vector<supervise::ServiceSpec> services;
};

inline constexpr std::string_view kFileName = "selfbuild.yaml";

// Strict: at most 1 MiB and 32 levels; unknown and duplicate keys, wrong types and impossible values are
// ErrorKind::usage with "file:line:column: …", and did-you-mean. `file` is the name used in messages.
[[nodiscard]] Result<ProjectFile> parse_project_file(std::string_view text, const std::string& file);

// The nearest folder at or above `from` that has a selfbuild.yaml; not_found says `selfbuild init`.
[[nodiscard]] Result<std::filesystem::path> find_project(const std::filesystem::path& from);

}  // namespace sb::project
