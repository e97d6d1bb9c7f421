// Runs what proves a build: its test suite, and the candidate itself in isolation. A verdict is a value: a
// failing suite is an expected outcome, not an Error.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/envelope.h"
#include "sandbox/view.h"
#include "supervise/service_spec.h"
#include "testrun/cooperation.h"

namespace sb::testrun {

struct TestRequest {
  std::filesystem::path source;
  std::filesystem::path build;
  std::vector<std::string> command;  // empty: CTest of the build folder; else any command, exit 0 is a pass
  std::vector<std::string> ctest_arguments;  // e.g. {"-L", "unit"}
  sandbox::Envelope envelope;
  std::filesystem::path log;            // appended
  std::optional<sandbox::View> view{};  // the one that the stage was built in: paths in it are compiled in
};

struct FailedTest {
  std::string name;
  std::string output;  // last lines
};

struct Verdict {
  bool passed = false;
  int tests = 0;
  int failed = 0;
  int skipped = 0;
  std::vector<FailedTest> failures;
  std::string
      reason;  // one line when not passed: "2 of 412 tests failed: A.b, C.d", "over its wall time of 10 min"
  std::chrono::milliseconds took{0};
  sandbox::Grant grant;
  std::optional<Cooperation> cooperation{};   // of a candidate that passed
  [[nodiscard]] std::string summary() const;  // "412 passed in 3.1 s", "2 of 412 failed"
};

// Called with a line of output as it comes.
using LineSink = std::function<void(std::string_view)>;

// A suite that finds no test at all does not pass: a gate that counts nothing proves nothing.
[[nodiscard]] Result<Verdict> run_tests(const TestRequest& request, const LineSink& lines,
                                        const std::stop_token& stop = {});

struct ProbeRequest {
  supervise::ServiceSpec service;
  std::filesystem::path version;  // the candidate's files, laid out to run
  sandbox::Envelope envelope;
  std::filesystem::path log;
};

// The candidate run: starts the service's command in isolation (SELFBUILD_CANDIDATE=1; every socket replaced
// by a fresh one on 127.0.0.1:0 or in a temporary folder; SELFBUILD_HOME, HOME and TMPDIR throw-away folders;
// an own NOTIFY_SOCKET), waits until it is ready and healthy within start_timeout, asks its health once more,
// and ends it with SIGTERM; what it does then with a request that it has begun is its cooperation.
[[nodiscard]] Result<Verdict> probe_candidate(const ProbeRequest& request, const LineSink& lines,
                                              const std::stop_token& stop = {});

}  // namespace sb::testrun
