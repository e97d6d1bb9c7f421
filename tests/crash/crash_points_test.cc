// SIGKILL of the worker and of the conductor right after each journal record of an update, one run each: what
// is live is always the old version or the new one, never neither; the cycle ends by itself; and the journal
// explains what happened.
#include <csignal>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "history/history.h"
#include "os/clock.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb {
namespace {

using history::Step;

struct CrashPoint {
  const char* program;
  const char* step;
  const char* swap = "overlap";
};

void PrintTo(const CrashPoint& point, std::ostream* out) {
  *out << point.program << " after " << point.step << ", " << point.swap;
}

std::string name_of(const testing::TestParamInfo<CrashPoint>& info) {
  std::string name = fmt::format("{}_after_{}_{}", info.param.program, info.param.step, info.param.swap);
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

// Every record of an update that is kept, by the program that writes it; and the conductor's again for
// services that cannot run twice.
const CrashPoint kPoints[] = {
    {"conductor", "planned"},
    {"selfbuild", "staging"},
    {"selfbuild", "staged"},
    {"selfbuild", "building"},
    {"selfbuild", "built"},
    {"selfbuild", "testing"},
    {"selfbuild", "tested"},
    {"selfbuild", "probing"},
    {"selfbuild", "probed"},
    {"conductor", "swapping"},
    {"conductor", "started"},
    {"conductor", "pointed"},
    {"conductor", "verifying"},
    {"conductor", "kept"},
    {"selfbuild", "done"},
    {"conductor", "swapping", "drain-first"},
    {"conductor", "started", "drain-first"},
    {"conductor", "pointed", "drain-first"},
    {"conductor", "verifying", "drain-first"},
    {"conductor", "kept", "drain-first"},
};

TEST(CrashPoints, are_as_many_as_declared) {
  EXPECT_GE(std::size(kPoints), 20U);
  std::set<std::string> steps;
  for (const CrashPoint& point : kPoints) steps.insert(point.step);
  EXPECT_EQ(steps.size(), 15U) << "every step from planned to done";
}

class AfterEveryRecord : public testing::TestWithParam<CrashPoint> {
 protected:
  // v1 is live, nothing runs, and the programs that are started from here on know where to die, or to stop.
  void SetUp() override {
    host_.make_tiny_project(GetParam().swap);
    const tests::Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("tiny"), "v1");
    ASSERT_EQ(host_.selfbuild({"conductor", "stop", "--services"}).code, 0);
    patch_ = host_.patch("tiny.sh", "edition 1", "edition 2").string();
    host_.environment["SELFBUILD_CRASH_IN"] = GetParam().program;
    host_.environment["SELFBUILD_CRASH_AFTER"] = GetParam().step;
    host_.environment["SELFBUILD_CRASH_ONCE"] = mark_.string();
  }

  [[nodiscard]] std::vector<std::string> update() const { return {"update", "--patch", patch_}; }

  // The end of an update in which a program died: v2 is live, and the journal holds exactly one end.
  void expect_v2(tests::Finished finished) {
    if (std::string_view(GetParam().step) == "planned" && finished.code != 0) {
      // The conductor died before it could answer: the caller was told so, and the update is queued all the
      // same.
      EXPECT_NE(finished.all().find("conductor"), std::string::npos) << finished.all();
      finished = host_.selfbuild(update());
    }
    EXPECT_TRUE(std::filesystem::exists(mark_)) << "nothing died: this run tested nothing\n"
                                                << finished.all();
    EXPECT_EQ(finished.code, 0) << finished.all();
    EXPECT_EQ(host_.live("tiny"), "v2") << finished.all();
    expect_explained();
    expect_one_process_of_v2();
  }

  tests::Installation host_;
  std::filesystem::path mark_ = host_.scratch() / "crashed";

 private:
  void expect_explained() {
    const os::SystemClock clock;
    ASSERT_OK(history::History past, history::History::open(host_.home().database(), clock));
    ASSERT_OK(const auto open, past.unfinished());
    EXPECT_TRUE(open.empty()) << history::cycle_name(open.front().id) << " was left open";
    ASSERT_OK(const auto journal, past.journal(2));
    std::string steps;
    int done = 0;
    for (const history::JournalRecord& record : journal) {
      steps += fmt::format(" {}", history::to_string(record.step));
      if (record.step == Step::done) ++done;
    }
    EXPECT_EQ(done, 1) << steps;
    EXPECT_EQ(journal.back().step, Step::done) << steps;
  }

  void expect_one_process_of_v2() {
    // The conductor that was killed last may not be back yet.
    tests::Finished status;
    tests::wait_until([&] {
      status = host_.selfbuild({"conductor", "status", "--json"});
      return status.code == 0;
    });
    ASSERT_OK(const Json value, parse_json(status.out));
    int running = 0;
    for (const Json& service : value.at("services")) {
      if (service.at("name") != "tiny") continue;
      ++running;
      EXPECT_EQ(service.at("version"), 2) << service.dump();
      EXPECT_EQ(service.at("state"), "running") << service.dump();
      const std::string command = fmt::format("/proc/{}/cmdline", service.at("pid").get<int>());
      EXPECT_NE(tests::read(command).find("sleep"), std::string::npos) << service.dump();
    }
    EXPECT_EQ(running, 1);
  }

  std::string patch_;
};

TEST_P(AfterEveryRecord, its_writer_may_die) {
  expect_v2(host_.selfbuild(update()));
}

// The letter that proc_pid_stat(5) gives a process's state: 'T' is stopped.
char state_of(pid_t pid) {
  const std::string stat = tests::read(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
}

pid_t parent_of(pid_t pid) {
  const std::string status = tests::read(fmt::format("/proc/{}/status", pid));
  const std::size_t at = status.find("\nPPid:");
  return at == std::string::npos ? 0 : std::stoi(status.substr(at + 6));
}

pid_t worker_of(pid_t conductor) {
  std::istringstream children(tests::read(fmt::format("/proc/{0}/task/{0}/children", conductor)));
  for (pid_t child = 0; children >> child;) {
    if (tests::read(fmt::format("/proc/{}/comm", child)) == "selfbuild\n") return child;
  }
  return 0;
}

TEST_P(AfterEveryRecord, the_other_program_may_die) {
  host_.environment["SELFBUILD_CRASH_HOW"] = "stop";
  tests::Background running = host_.selfbuild_in_background(update());
  // CTest's limit ends this when the writer never comes here.
  tests::wait_until([&] { return tests::read(mark_).ends_with('\n'); });
  const pid_t writer = std::stoi(tests::read(mark_));
  tests::wait_until([&] { return state_of(writer) == 'T' || state_of(writer) == '?'; });
  ASSERT_EQ(state_of(writer), 'T') << "the writer ended instead of standing still";

  const bool worker_writes = GetParam().program == std::string_view("selfbuild");
  const pid_t other = worker_writes ? parent_of(writer) : worker_of(writer);
  ASSERT_GT(other, 1) << "the writer's counterpart was not found";
  EXPECT_EQ(tests::read(fmt::format("/proc/{}/comm", other)), worker_writes ? "conductor\n" : "selfbuild\n");
  EXPECT_EQ(::kill(other, SIGKILL), 0);
  EXPECT_EQ(::kill(writer, SIGCONT), 0);
  expect_v2(running.wait());
}

INSTANTIATE_TEST_SUITE_P(Crash, AfterEveryRecord, testing::ValuesIn(kPoints), name_of);

}  // namespace
}  // namespace sb
