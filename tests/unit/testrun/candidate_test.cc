// The candidate run on a real program with real sockets.
#include <csignal>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "os/file_system.h"
#include "supervise/probe.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "testrun/examiner.h"

namespace sb::testrun::tests {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using supervise::ProbeSpec;

class Candidate : public ::testing::Test {
 protected:
  Candidate() {
    fs::create_directories(folder_.path() / "bin");
    fs::copy_file(SB_FAKE_SERVICE, folder_.path() / "bin" / "service");
    request_.version = folder_.path();
    request_.log = folder_.path() / "log";
    request_.envelope.wall = std::chrono::seconds(60);
    request_.service.name = "hello";
    request_.service.start_timeout = std::chrono::seconds(30);
    request_.service.drain_timeout = std::chrono::seconds(5);
  }
  void mode(const std::string& mode) { request_.service.command = {"bin/service", mode}; }
  void socket(const std::string& listen) { request_.service.sockets = {{.name = "http", .listen = listen}}; }
  static ProbeSpec http(const std::string& address) {
    ProbeSpec probe;
    probe.kind = ProbeSpec::Kind::http;
    probe.address = address;
    probe.interval = milliseconds(10);
    return probe;
  }
  static ProbeSpec of_kind(ProbeSpec::Kind kind) {
    ProbeSpec probe;
    probe.kind = kind;
    return probe;
  }
  std::string log() const { return sb::tests::read(request_.log); }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  ProbeRequest request_;
};

TEST_F(Candidate, that_answers_on_its_own_socket_passes) {
  mode("serve");
  socket("127.0.0.1:1");  // a port that we may not even bind: it is not used
  request_.service.ready = http("http");
  request_.service.health = http("127.0.0.1:1");  // the same socket, by its address
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_EQ(verdict.tests, 1);
  EXPECT_FALSE(verdict.grant.empty());
  EXPECT_NE(log().find("candidate=1 fds=1 names=http\n"), std::string::npos) << log();
}

TEST_F(Candidate, shows_how_it_takes_being_replaced) {
  using Level = Cooperation::Level;
  struct Case {
    const char* mode;
    Level level;
    std::optional<bool> answered;
    const char* end;
  };
  // Of `deaf` and `ready` nobody asks anything; and `serve` answers before it was asked all.
  for (const Case& one :
       {Case{"drain", Level::drains, true, "exit code 0"}, Case{"cut", Level::ends, false, "exit code 0"},
        Case{"serve", Level::dies, std::nullopt, "killed by SIGTERM"},
        Case{"deaf", Level::stays, std::nullopt, ""}}) {
    SCOPED_TRACE(one.mode);
    mode(one.mode);
    socket("127.0.0.1:1");
    const bool asks = one.level != Level::stays;
    request_.service.ready = asks ? http("http") : ProbeSpec{};
    request_.service.drain_timeout = milliseconds(asks ? 30'000 : 100);
    ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
    ASSERT_TRUE(verdict.passed) << verdict.reason;
    ASSERT_TRUE(verdict.cooperation);
    EXPECT_EQ(verdict.cooperation->level, one.level) << to_string(verdict.cooperation->level);
    if (one.level != Level::dies) {
      EXPECT_EQ(verdict.cooperation->answered, one.answered);
    }
    EXPECT_EQ(verdict.cooperation->end, one.end);
    ASSERT_OK(const Cooperation read, cooperation_from_json(to_json(*verdict.cooperation)));
    EXPECT_EQ(to_json(read), to_json(*verdict.cooperation));
  }
}

TEST_F(Candidate, that_cannot_run_twice_is_exclusive_however_it_ends) {
  mode("drain");
  socket("127.0.0.1:1");
  request_.service.ready = http("http");
  request_.service.swap = supervise::SwapMode::drain_first;
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  ASSERT_TRUE(verdict.cooperation);
  EXPECT_EQ(verdict.cooperation->level, Cooperation::Level::exclusive);
  EXPECT_NE(cost(*verdict.cooperation, request_.service, true).find("what it has begun is answered"),
            std::string::npos);
}

TEST_F(Candidate, gets_fresh_unix_sockets) {
  mode("serve");
  const fs::path live = folder_.path() / "live.sock";
  socket("unix:" + live.string());
  request_.service.ready = http("unix:" + live.string());
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_FALSE(fs::exists(live));
}

TEST_F(Candidate, lives_in_folders_of_its_own) {
  mode("ready");
  request_.service.environment = {"HOME=/root", "SELFBUILD_HOME=/live"};
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_NE(log().find("selfbuild-candidate"), std::string::npos) << log();
  EXPECT_EQ(log().find("/live"), std::string::npos) << log();
  EXPECT_EQ(log().find("home=/root"), std::string::npos) << log();
}

TEST_F(Candidate, has_to_start_before_it_has_to_be_ready) {
  mode("serve");
  socket("127.0.0.1:1");
  request_.service.start = of_kind(ProbeSpec::Kind::command);
  request_.service.start.command = {"/bin/sh", "-c", "echo still migrating; exit 1"};
  request_.service.start.interval = milliseconds(10);
  request_.service.ready = http("http");
  request_.service.start_timeout = milliseconds(500);
  ASSERT_OK(const Verdict refused, probe_candidate(request_, {}));
  EXPECT_FALSE(refused.passed);
  EXPECT_NE(refused.reason.find("not started within 500 ms"), std::string::npos) << refused.reason;

  request_.service.start.command = {"/bin/true"};
  request_.service.start.successes = 3;
  request_.service.start_timeout = std::chrono::seconds(30);
  ASSERT_OK(const Verdict passed, probe_candidate(request_, {}));
  EXPECT_TRUE(passed.passed) << passed.reason;
}

TEST_F(Candidate, that_says_ready_passes) {
  mode("ready");
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
}

TEST_F(Candidate, that_never_says_ready_fails_with_its_status) {
  mode("busy");
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  request_.service.start_timeout = milliseconds(2500);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.reason,
            "candidate of hello: not ready within 2.5 s: no READY=1 on its NOTIFY_SOCKET; its status: still "
            "reading "
            "the index");
}

TEST_F(Candidate, that_feeds_its_watchdog_passes) {
  mode("watchdog");
  request_.service.health = of_kind(ProbeSpec::Kind::watchdog);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
}

TEST_F(Candidate, that_does_not_feed_its_watchdog_fails) {
  mode("ready");
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  request_.service.health = of_kind(ProbeSpec::Kind::watchdog);
  request_.service.start_timeout = milliseconds(2'000);  // for becoming ready, too, on a busy machine
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("no WATCHDOG=1"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, that_dies_early_fails_with_its_last_lines) {
  mode("die");
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.failed, 1);
  EXPECT_EQ(verdict.reason, "candidate of hello: ended before it was healthy: exit code 3");
  ASSERT_EQ(verdict.failures.size(), 1U);
  EXPECT_NE(verdict.failures[0].output.find("candidate=1"), std::string::npos);
}

TEST_F(Candidate, that_crashes_says_by_which_signal) {
  mode("crash");
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_EQ(verdict.reason, "candidate of hello: ended before it was ready: killed by SIGABRT");
}

TEST_F(Candidate, that_is_ill_fails_with_the_answer) {
  mode("sick");
  socket("127.0.0.1:8080");
  request_.service.health = http("http");
  request_.service.start_timeout = milliseconds(500);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("not healthy within 500 ms"), std::string::npos) << verdict.reason;
  EXPECT_NE(verdict.reason.find("500"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, that_is_healthy_only_once_fails) {
  mode("serve-once");
  socket("127.0.0.1:8080");
  request_.service.health = http("http");
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("healthy once, then no more"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, that_does_not_exist_is_a_failed_verdict) {
  request_.service.command = {"bin/nothing"};
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("bin/nothing"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, is_not_judged_by_the_answer_of_the_live_version) {
  ASSERT_OK(const supervise::BoundSocket live,
            supervise::bind_socket({.name = "live", .listen = "127.0.0.1:0"}));
  mode("ready");
  ProbeSpec probe = of_kind(ProbeSpec::Kind::tcp);
  probe.address = live.address;  // answered by the kernel for the live one, whatever the candidate does
  request_.service.health = probe;
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("another program answers"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, is_asked_by_its_command) {
  mode("ready");
  request_.service.health = of_kind(ProbeSpec::Kind::command);
  request_.service.health.command = {"sh", "-c", "test -x bin/service"};
  ASSERT_OK(const Verdict good, probe_candidate(request_, {}));
  EXPECT_TRUE(good.passed) << good.reason;
  request_.service.health.command = {"sh", "-c", "exit 1"};
  request_.service.start_timeout = milliseconds(300);
  ASSERT_OK(const Verdict bad, probe_candidate(request_, {}));
  EXPECT_FALSE(bad.passed);
}

TEST_F(Candidate, that_is_stopped_gives_no_verdict) {
  mode("deaf");
  request_.service.ready = of_kind(ProbeSpec::Kind::notify);
  std::stop_source source;
  EXPECT_ERROR(
      ErrorKind::interrupted,
      probe_candidate(request_, [&](std::string_view) { source.request_stop(); }, source.get_token()));
}

TEST_F(Candidate, whose_probe_is_a_command_is_asked_in_the_sandbox) {
  mode("ready");
  request_.service.ready = of_kind(ProbeSpec::Kind::command);
  // Not the user's folders, and whatever it leaves running is gone when it has answered.
  const fs::path left = folder_.path() / "left";
  request_.service.ready.command = {
      "sh", "-c",
      "case $HOME in *selfbuild-candidate*) ;; *) exit 1;; esac; setsid sleep 1000 & echo $! >" +
          left.string()};
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_NE(::kill(std::stoi(sb::tests::read(left)), 0), 0);
}

TEST_F(Candidate, whose_probe_prints_without_end_fails) {
  mode("ready");
  request_.service.health = of_kind(ProbeSpec::Kind::command);
  // Good at first, so that the second answer is the verdict.
  request_.service.health.command = {"sh", "-c", "test -e seen && exec yes; touch seen"};
  request_.service.health.timeout = std::chrono::seconds(30);
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_FALSE(verdict.passed);
  EXPECT_NE(verdict.reason.find("over its output limit of 64.0 KiB"), std::string::npos) << verdict.reason;
}

TEST_F(Candidate, leaves_nothing_in_the_version_that_may_go_live) {
  request_.service.command = {"sh", "-c", "echo mine >data.db; exec sleep 1000"};
  ASSERT_OK(const Verdict verdict, probe_candidate(request_, {}));
  EXPECT_TRUE(verdict.passed) << verdict.reason;
  EXPECT_FALSE(fs::exists(request_.version / "data.db"));
}

}  // namespace
}  // namespace sb::testrun::tests
