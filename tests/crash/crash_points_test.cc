// SIGKILL of the worker, or of the conductor, right after each journal record of an update: what is live is
// always the old version or the new one, never neither; the cycle ends by itself; and the journal explains
// what happened.
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "history/history.h"
#include "os/clock.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"

namespace sb {
namespace {

using history::Step;

struct CrashPoint {
  const char* program;
  const char* step;
  const char* swap = "overlap";
};

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

class AfterEveryRecord : public testing::TestWithParam<CrashPoint> {};

TEST_P(AfterEveryRecord, the_update_ends_right_and_the_journal_explains_it) {
  const CrashPoint point = GetParam();
  tests::Installation host;
  host.make_tiny_project(point.swap);
  const tests::Finished first = host.selfbuild({"update"});
  ASSERT_EQ(first.code, 0) << first.all();
  ASSERT_EQ(host.live("tiny"), "v1");
  ASSERT_EQ(host.selfbuild({"conductor", "stop", "--services"}).code, 0);

  // From here on the programs know where to die.
  const std::filesystem::path mark = host.scratch() / "crashed";
  host.environment["SELFBUILD_CRASH_IN"] = point.program;
  host.environment["SELFBUILD_CRASH_AFTER"] = point.step;
  host.environment["SELFBUILD_CRASH_ONCE"] = mark.string();
  const std::filesystem::path patch = host.patch("tiny.sh", "edition 1", "edition 2");
  tests::Finished second = host.selfbuild({"update", "--patch", patch.string()});
  if (std::string_view(point.step) == "planned" && second.code != 0) {
    // The conductor died before it could answer: the caller was told so, and the update is queued all the
    // same.
    EXPECT_NE(second.all().find("conductor"), std::string::npos) << second.all();
    second = host.selfbuild({"update", "--patch", patch.string()});
  }

  EXPECT_TRUE(std::filesystem::exists(mark)) << "nothing died: this run tested nothing\n" << second.all();
  EXPECT_EQ(second.code, 0) << second.all();
  EXPECT_EQ(host.live("tiny"), "v2") << second.all();

  const os::SystemClock clock;
  ASSERT_OK(history::History past, history::History::open(host.home().database(), clock));
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

  // One process of the service runs, and it is the live version's.
  const tests::Finished status = host.selfbuild({"conductor", "status", "--json"});
  ASSERT_OK(const Json value, parse_json(status.out));
  int running = 0;
  for (const Json& service : value.at("services")) {
    if (service.at("name") != "tiny") continue;
    ++running;
    EXPECT_EQ(service.at("version"), 2) << service.dump();
    EXPECT_EQ(service.at("state"), "running") << service.dump();
    const std::string executable = fmt::format("/proc/{}/cmdline", service.at("pid").get<int>());
    EXPECT_NE(tests::read(executable).find("sleep"), std::string::npos) << service.dump();
  }
  EXPECT_EQ(running, 1);
}

INSTANTIATE_TEST_SUITE_P(Crash, AfterEveryRecord, testing::ValuesIn(kPoints), name_of);

}  // namespace
}  // namespace sb
