// Where the time of a build went: its phases, the edges that ran, and the trace of both.
#include "build/trace.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kHash = 7;

ninja::LogEntry entry(int start, int end, std::uint64_t hash) {
  return {.start_ms = start, .end_ms = end, .mtime_ns = 1, .command_hash = hash};
}

// Two edges at once and one after them; a hit, whose entry was there before Ninja ran.
BuildReport report_of_three() {
  BuildReport report;
  ninja::BuildLog log;
  log.entries["hit.o"] = entry(0, 9000, 1);
  const ninja::BuildLog before = log;
  log.entries["long.o"] = entry(0, 400, 2);
  log.entries["short.o"] = entry(10, 110, 3);
  log.entries["two.b"] = entry(120, 140, kHash);
  log.entries["two.a"] = entry(120, 140, kHash);
  const auto start = Timeline::Clock::now();
  report.timeline.add_phase("decide and place", start);
  report.timeline.add_phase("ninja", start);
  report.timeline.add_edges(start, before, log);
  report.edges_total = 4;
  report.edges_cached = 1;
  report.saved = std::chrono::milliseconds(9000);
  return report;
}

std::vector<std::string> outputs_of(const std::vector<RanEdge>& edges) {
  std::vector<std::string> outputs;
  outputs.reserve(edges.size());
  for (const RanEdge& edge : edges) outputs.push_back(edge.output);
  return outputs;
}

// The events of one kind ("X", "i", "M").
std::vector<Json> events_of(const std::string& trace, const std::string& kind) {
  const Result<Json> parsed = parse_json(trace);
  EXPECT_TRUE(parsed.has_value()) << trace;
  std::vector<Json> events;
  for (const Json& event : parsed ? (*parsed)["traceEvents"] : Json::array()) {
    if (event["ph"] == kind) events.push_back(event);
  }
  return events;
}

const Json* find(const std::vector<Json>& events, const std::string& name) {
  const auto found = std::ranges::find_if(events, [&](const Json& event) { return event["name"] == name; });
  return found == events.end() ? nullptr : &*found;
}

TEST(Timeline, has_the_edges_that_ran_and_no_others) {
  const BuildReport report = report_of_three();
  EXPECT_THAT(outputs_of(report.timeline.edges()), ElementsAre("long.o", "short.o", "two.a"));
  EXPECT_THAT(outputs_of(report.timeline.slowest(2)), ElementsAre("long.o", "short.o"));
}

TEST(Timeline, has_an_edge_again_that_ran_again) {
  ninja::BuildLog before;
  before.entries["a.o"] = entry(0, 400, kHash);
  ninja::BuildLog after = before;
  after.entries["a.o"].mtime_ns = 2;
  Timeline timeline;
  timeline.add_edges(Timeline::Clock::now(), before, after);
  EXPECT_THAT(outputs_of(timeline.edges()), ElementsAre("a.o"));
}

TEST(Timeline, moves_behind_what_was_done_before) {
  BuildReport report = report_of_three();
  const auto start = report.timeline.edges().front().start;
  const auto phase = report.timeline.phases().front().start;
  constexpr std::chrono::milliseconds kStage{250};
  report.timeline.begin_with("stage", kStage);
  EXPECT_EQ(report.timeline.phases().front().name, "stage");
  EXPECT_EQ(report.timeline.phases().front().took, kStage);
  EXPECT_EQ(report.timeline.phases()[1].start, phase + kStage);
  EXPECT_EQ(report.timeline.edges().front().start, start + kStage);
}

TEST(Trace, puts_edges_that_ran_at_once_into_lanes_of_their_own) {
  const std::vector<Json> work = events_of(trace_of(report_of_three()), "X");
  for (const char* name : {"decide and place", "ninja", "long.o", "short.o", "two.a"})
    ASSERT_NE(find(work, name), nullptr) << name;
  const auto lane = [&](const char* name) { return (*find(work, name))["tid"]; };
  EXPECT_EQ(lane("ninja"), lane("decide and place"));
  EXPECT_NE(lane("ninja"), lane("long.o"));
  EXPECT_NE(lane("long.o"), lane("short.o"));
  EXPECT_EQ(lane("two.a"), lane("short.o")) << "it is free again";
  EXPECT_EQ((*find(work, "short.o"))["dur"], 100'000) << "in microseconds";
  EXPECT_EQ(work.size(), 5U);
}

TEST(Trace, counts_what_came_from_the_cache_and_shows_it_as_no_work) {
  const std::string trace = trace_of(report_of_three());
  const std::vector<Json> instants = events_of(trace, "i");
  ASSERT_EQ(instants.size(), 1U);
  EXPECT_EQ(instants[0]["name"], "1 of 4 edges from the cache");
  EXPECT_EQ(instants[0]["args"]["saved_ms"], 9000);
  EXPECT_EQ(find(events_of(trace, "X"), "hit.o"), nullptr);
}

TEST(Trace, has_what_its_format_asks_of_each_event) {
  const Result<Json> parsed = parse_json(trace_of(report_of_three()));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ((*parsed)["displayTimeUnit"], "ms");
  std::set<int> named;
  std::set<int> used;
  for (const Json& event : (*parsed)["traceEvents"]) {
    for (const char* key : {"ph", "name", "pid", "tid"}) EXPECT_TRUE(event.contains(key)) << event;
    if (event["ph"] == "M") {
      if (event["name"] == "thread_name") named.insert(event["tid"].get<int>());
      continue;
    }
    EXPECT_TRUE(event["ts"].is_number()) << event;
    EXPECT_EQ(event["ph"] == "X", event.contains("dur")) << event;
    used.insert(event["tid"].get<int>());
  }
  EXPECT_EQ(named, used) << "every lane has a name";
}

TEST(TraceFile, that_cannot_be_written_is_an_error_that_names_it) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const auto file = TraceFile::open(folder.path() / "missing" / "trace.json");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().kind, ErrorKind::environment);
  EXPECT_THAT(file.error().what, HasSubstr("missing/trace.json"));
}

TEST(TraceFile, that_is_never_written_is_as_it_was_before) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  tests::write(folder.path() / "old.json", "of the last build");
  for (const char* name : {"old.json", "new.json"}) ASSERT_GOOD(TraceFile::open(folder.path() / name));
  EXPECT_EQ(tests::read(folder.path() / "old.json"), "of the last build");
  EXPECT_FALSE(fs::exists(folder.path() / "new.json"));
}

TEST(TraceFile, holds_what_was_written_and_nothing_else) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  tests::write(folder.path() / "old.json", "a longer text of the last build");
  for (const char* name : {"old.json", "new.json"}) {
    {
      ASSERT_OK(TraceFile file, TraceFile::open(folder.path() / name));
      ASSERT_GOOD(file.write("{}"));
    }
    EXPECT_EQ(tests::read(folder.path() / name), "{}");
  }
}

TEST(Trace, of_a_real_build_shows_what_ninja_ran_and_then_what_it_did_not_have_to) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  BuildRequest request;
  request.source = folder.path() / "tree";
  request.build = folder.path() / "build";
  request.log = folder.path() / "log";
  request.cache = folder.path() / "cache";
  request.list_edges = true;
  request.envelope.wall = std::chrono::minutes(5);
  tests::write(request.source / "in.txt", "in\n");
  tests::write(request.source / "CMakeLists.txt",
               "cmake_minimum_required(VERSION 3.25)\nproject(tiny NONE)\n"
               "add_custom_command(OUTPUT out.txt COMMAND cat ${CMAKE_SOURCE_DIR}/in.txt > out.txt\n"
               "  DEPENDS ${CMAKE_SOURCE_DIR}/in.txt)\n"
               "add_custom_target(all_of_it ALL DEPENDS out.txt)\n");
  ASSERT_OK(const BuildReport first, build(request, {}));
  const std::vector<Json> built = events_of(trace_of(first), "X");
  for (const char* name : {"configure", "decide and place", "ninja", "keep", "out.txt"})
    EXPECT_NE(find(built, name), nullptr) << name;

  ASSERT_OK(const BuildReport second, build(request, {}));
  EXPECT_EQ(second.edges_cached, 1);
  const std::string trace = trace_of(second);
  EXPECT_EQ(find(events_of(trace, "X"), "out.txt"), nullptr);
  EXPECT_NE(find(events_of(trace, "i"), "1 of 1 edges from the cache"), nullptr) << trace;

  request.list_edges = false;
  tests::write(request.source / "in.txt", "other\n");
  ASSERT_OK(const BuildReport third, build(request, {}));
  EXPECT_EQ(third.edges_run, 1);
  EXPECT_TRUE(third.timeline.edges().empty()) << "nobody asked";
}

}  // namespace
}  // namespace sb::build
