// The commands that only look: what they tell of a history in which one update was kept, one refused, one
// rolled back and one is running.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "command_line.h"
#include "history/history.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

using history::BuildStatus;
using history::Step;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Looking : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(home, os::Home::at(line.home()));
    ASSERT_OK(history::History opened, history::History::open(home->database(), clock));
    past.emplace(std::move(opened));
    kept("the first one", 1);
    refused("breaks a test");
    rolled_back("dies in service", 2);
    std::filesystem::create_directories(home->project("hello") / "versions");
    ASSERT_GOOD(files.point_durably(home->pointer("hello"), "versions/v1"));
  }

  std::int64_t begin(const std::string& title) {
    history::Cycle cycle;
    cycle.project = "hello";
    cycle.commit = std::string(40, 'c');
    cycle.triggered_by = "cli:alice";
    cycle.improvement_plan = Json{{"title", title}}.dump();
    if (past->cycles("hello")->size() > 0) cycle.from_version = 1;
    return past->begin_cycle(cycle, Json{{"title", title}}.dump()).value();
  }
  void append(std::int64_t cycle, Step step, const Json& detail = Json::object(),
              const history::History::Change& change = {}) {
    ASSERT_GOOD(past->append(cycle, step, detail.dump(), change, 0));
  }
  void version(std::int64_t cycle, int expected) {
    history::Version version;
    version.project = "hello";
    version.cycle = cycle;
    version.commit = std::string(40, 'c');
    version.tree = std::string(39, 't') + std::to_string(expected);
    version.digest = std::string(64, 'd');
    version.compiler = "GNU 12.2.0";
    version.options = R"({"preset": "release", "options": []})";
    version.services_json = "[]";
    version.test_results = "12 passed";
    version.requested_by = "cli:alice";
    version.outputs = {{.path = "bin/hello",
                        .object = {.xxh3 = std::string(32, 'e'), .size = 2048},
                        .sha256 = std::string(64, 'f'),
                        .mode = 0755}};
    ASSERT_OK(const int number, past->add_version(version));
    ASSERT_EQ(number, expected);
  }
  void kept(const std::string& title, int number) {
    const std::int64_t cycle = begin(title);
    append(cycle, Step::staging, {{"commit", std::string(40, 'c')}});
    append(cycle, Step::built, {{"edges_run", 3}, {"edges_total", 40}, {"ninja_ms", 1500}},
           {.status = BuildStatus::building});
    version(cycle, number);
    append(cycle, Step::kept, Json::object(),
           {.status = BuildStatus::completed, .version = number, .completed = true});
    append(cycle, Step::done, {{"outcome", "kept"}});
    ASSERT_GOOD(
        past->set_version_state("hello", number, history::VersionState::known_good, "verified in service"));
  }
  void refused(const std::string& title) {
    const std::int64_t cycle = begin(title);
    append(cycle, Step::rejected, {{"what", "1 of 12 tests failed: greets"}},
           {.status = BuildStatus::failed, .failure = "1 of 12 tests failed: greets", .completed = true});
    append(cycle, Step::done, {{"outcome", "rejected"}});
  }
  void rolled_back(const std::string& title, int number) {
    const std::int64_t cycle = begin(title);
    version(cycle, number);
    append(cycle, Step::rolled_back, {{"cause", "hello ended: killed by SIGSEGV"}},
           {.status = BuildStatus::rolled_back,
            .version = number,
            .rollback_reason = "hello ended: killed by SIGSEGV",
            .completed = true});
    append(cycle, Step::done, {{"outcome", "rolled_back"}});
  }

  [[nodiscard]] Json json(std::vector<std::string> arguments, int code = kDone) const {
    arguments.emplace_back("--json");
    const tests::Ran ran = line.run(arguments);
    EXPECT_EQ(ran.code, code) << ran.err;
    Result<Json> value = parse_json(ran.out);
    EXPECT_TRUE(value.has_value()) << ran.out;
    return value.value_or(Json::object());
  }

  tests::CommandLine line;
  os::SystemClock clock;
  os::RealFileSystem files;
  std::optional<os::Home> home;
  std::optional<history::History> past;
};

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

TEST_F(Looking, history_shows_the_newest_first_with_reason_and_live_version) {
  const tests::Ran ran = line.run({"history"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  const auto lines = split_lines(ran.out);
  ASSERT_EQ(lines.size(), 4U) << ran.out;
  EXPECT_THAT(lines[1], AllOf(HasSubstr("c-3 "), HasSubstr("rolled back"), HasSubstr("killed by SIGSEGV"),
                              Not(HasSubstr("live"))));
  EXPECT_THAT(lines[2], AllOf(HasSubstr("c-2 "), HasSubstr("failed"), HasSubstr("1 of 12 tests failed")));
  EXPECT_THAT(lines[3],
              AllOf(HasSubstr("c-1 "), HasSubstr("completed"), HasSubstr("v1 live"), HasSubstr("cli:alice")));
}

TEST_F(Looking, history_says_how_many_it_left_out) {
  const tests::Ran ran = line.run({"history", "--limit", "1"});
  EXPECT_EQ(split_lines(ran.out).size(), 2U) << ran.out;
  EXPECT_THAT(ran.err, HasSubstr("2 older"));
}

TEST_F(Looking, history_json_has_the_same_keys_for_every_attempt) {
  const Json value = json({"history"});
  EXPECT_EQ(value["project"], "hello");
  EXPECT_EQ(value["live"], "v1");
  ASSERT_EQ(value["cycles"].size(), 3U);
  for (const Json& cycle : value["cycles"]) EXPECT_EQ(keys(cycle), keys(value["cycles"][0]));
  EXPECT_EQ(value["cycles"][1]["version"], nullptr);
  EXPECT_EQ(value["cycles"][2]["live"], true);
  EXPECT_EQ(value["cycles"][0]["live"], false);
}

TEST_F(Looking, show_tells_what_a_version_is_made_of) {
  const tests::Ran ran = line.run({"show", "1"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("hello v1: live, known good"), HasSubstr("bin/hello  2.0 KiB"),
                    HasSubstr("preset release"), HasSubstr("12 passed"), HasSubstr(std::string(64, 'd'))));
  EXPECT_EQ(ran.err, "\nnext:\n  selfbuild history\n");
}

TEST_F(Looking, show_json_has_the_same_keys_with_and_without_files) {
  const Json with = json({"show", "v1"});
  ASSERT_GOOD(past->drop_outputs("hello", 2));
  const Json without = json({"show", "v2"});
  EXPECT_EQ(keys(with), keys(without));
  EXPECT_EQ(with["files_kept"], true);
  EXPECT_EQ(without["files_kept"], false);
  EXPECT_EQ(with["outputs"][0]["sha256"], std::string(64, 'f'));
  EXPECT_EQ(with["live"], true);
}

TEST_F(Looking, explain_tells_every_record_and_what_is_live) {
  const tests::Ran ran = line.run({"explain", "c-3"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("c-3: update of hello, v1 was live, asked for by cli:alice"),
                             HasSubstr("planned"), HasSubstr("rolled back  hello ended"),
                             HasSubstr("v1 is live now")));
  for (const std::string_view text : split_lines(ran.out)) EXPECT_LE(width_of(text), 80) << text;
}

TEST_F(Looking, explain_takes_the_newest_cycle_and_adds_timings) {
  const tests::Ran ran = line.run({"explain", "--timings"});
  EXPECT_THAT(ran.out, AllOf(HasSubstr("c-3:"), HasSubstr("where the time went"), HasSubstr("ninja")));
}

TEST_F(Looking, explain_json_has_the_same_keys_for_an_open_cycle) {
  const Json ended = json({"explain", "c-1"});
  begin("still waiting");
  const Json open = json({"explain"});
  EXPECT_EQ(keys(open), keys(ended));
  EXPECT_EQ(open["open"], true);
  EXPECT_EQ(ended["open"], false);
  EXPECT_EQ(keys(open["cycle"]), keys(ended["cycle"]));
  EXPECT_EQ(ended["records"].size(), 5U);
}

TEST_F(Looking, log_prints_the_file_of_the_newest_or_the_newest_failed_cycle) {
  sb::tests::write(home->cycle(1) / "log", "built one\n");
  sb::tests::write(home->cycle(3) / "log", "built three\n");
  EXPECT_EQ(line.run({"log"}).out, "built three\n");
  EXPECT_EQ(line.run({"log", "c-1"}).out, "built one\n");
  EXPECT_EQ(line.run({"log", "--failed"}).out, "built three\n");
  EXPECT_EQ(json({"log", "1"})["log"], "built one\n");
}

TEST_F(Looking, status_without_a_conductor_shows_what_history_knows) {
  const std::int64_t cycle = begin("a change that is being built");
  append(cycle, Step::building);
  begin("one that waits");
  const tests::Ran ran = line.run({"status"});
  EXPECT_EQ(ran.code, kUnavailable);
  EXPECT_THAT(std::string(split_lines(ran.out).front()), HasSubstr("hello  v1 is live, since"));
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("the conductor is not running"), HasSubstr("running  c-4 update of hello"),
                    HasSubstr("waiting  c-5"), HasSubstr("last     c-3 update of hello: rolled back v2")));
  EXPECT_EQ(ran.err, "\nnext:\n  selfbuild conductor start\n");
}

TEST_F(Looking, status_json_has_every_key_without_a_conductor) {
  const Json value = json({"status"}, kUnavailable);
  EXPECT_EQ(keys(value), (std::vector<std::string>{"activation", "conductor", "projects", "running",
                                                   "services", "waiting"}));
  EXPECT_EQ(value["conductor"], nullptr);
  EXPECT_EQ(value["projects"][0]["live"], "v1");
  EXPECT_EQ(keys(value["projects"][0]), (std::vector<std::string>{"last", "live", "live_since", "name"}));
}

TEST_F(Looking, gc_dry_run_names_what_would_go_and_removes_nothing) {
  sb::tests::write(home->version("hello", 2) / "bin/hello", std::string(2048, 'x'));
  const Json value = json({"gc", "--keep", "1", "--dry-run"});
  EXPECT_EQ(value["dry_run"], true);
  EXPECT_TRUE(std::filesystem::exists(home->version("hello", 2) / "bin/hello"));
  EXPECT_FALSE(past->version("hello", 2)->outputs.empty());
}

TEST_F(Looking, gc_removes_old_versions_and_keeps_the_live_one) {
  rolled_back("one more", 3);
  rolled_back("and another", 4);
  for (const int number : {1, 2, 3, 4})
    sb::tests::write(home->version("hello", number) / "bin/hello", "12345");
  for (const int cycle : {1, 2, 3, 4, 5}) sb::tests::write(home->cycle(cycle) / "log", "x");
  const Json would = json({"gc", "--keep", "1", "--dry-run"});
  const Json done = json({"gc", "--keep", "1"});
  EXPECT_EQ(keys(would), keys(done));
  EXPECT_EQ(would["versions"], done["versions"]);
  EXPECT_EQ(done["versions"].size(), 2U) << done;
  EXPECT_EQ(done["version_bytes"], 10);
  EXPECT_EQ(done["cycles"], (Json{"c-4", "c-3", "c-2"}));
  for (const auto& [number, stays] : {std::pair(1, true), {2, false}, {3, false}, {4, true}}) {
    EXPECT_EQ(std::filesystem::exists(home->version("hello", number)), stays) << number;
    EXPECT_EQ(past->version("hello", number)->outputs.empty(), !stays) << number;
  }
  EXPECT_TRUE(std::filesystem::exists(home->cycle(1) / "log"));  // it made the live version
  EXPECT_FALSE(std::filesystem::exists(home->cycle(2)));
}

TEST_F(Looking, doctor_json_has_the_same_keys_for_every_check) {
  const tests::Ran ran = line.run({"doctor", "--json"});
  ASSERT_OK(const Json value, parse_json(ran.out));
  EXPECT_EQ(ran.code, value["can_run_a_cycle"] == true ? kDone : kUnavailable);
  ASSERT_GE(value["checks"].size(), 10U);
  for (const Json& check : value["checks"]) {
    EXPECT_EQ(keys(check), (std::vector<std::string>{"found", "level", "mend", "name"}));
    EXPECT_NE(check["found"], "") << check;
    EXPECT_TRUE(check["level"] != "ok" || check["mend"] == "") << check;
  }
}

}  // namespace
}  // namespace sb::tool
