// selfbuild build and selfbuild cache, from end to end: what they say of one build and of the next.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cache/action_store.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::Finished;
using tests::Installation;

class Build : public testing::Test {
 protected:
  void SetUp() override { host_.make_tiny_project(); }
  Json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const Finished ran = host_.selfbuild(arguments);
    EXPECT_EQ(ran.code, 0) << ran.all();
    Result<Json> value = parse_json(ran.out);
    EXPECT_TRUE(value.has_value()) << ran.all();
    return value.value_or(Json::object());
  }
  Installation host_;
};

TEST_F(Build, says_where_the_time_went_when_asked) {
  EXPECT_THAT(host_.selfbuild({"build"}).out, Not(HasSubstr("where the time went")));
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  const Finished timed = host_.selfbuild({"build", "--timings"});
  EXPECT_EQ(timed.code, 0) << timed.all();
  for (const char* word : {"where the time went:", "  stage\n", "  configure\n", "  decide and place\n",
                           "  ninja\n", "  keep\n", "  bin/tiny\n", "0 of 1 edges"})
    EXPECT_THAT(timed.out, HasSubstr(word));

  const Json value = json({"build", "--timings"});
  EXPECT_EQ(value["timings"]["edges_cached"], 1);
  EXPECT_EQ(value["timings"]["phases"].size(), 5U);
  EXPECT_EQ(value["timings"]["slowest"].size(), 0U) << "nothing ran";
  EXPECT_EQ(json({"build"})["timings"], Json());
}

TEST_F(Build, writes_a_trace) {
  const auto file = host_.scratch() / "trace.json";
  EXPECT_EQ(json({"build", "--trace", file.string()})["trace"], file.string());
  const Result<Json> trace = parse_json(tests::read(file));
  ASSERT_TRUE(trace.has_value());
  EXPECT_THAT((*trace)["traceEvents"].dump(), HasSubstr("bin/tiny"));
}

TEST_F(Build, does_not_begin_when_the_trace_cannot_be_written) {
  const Finished ran = host_.selfbuild({"build", "--trace", "missing/trace.json"});
  EXPECT_EQ(ran.code, 4) << ran.all();
  EXPECT_THAT(ran.err, HasSubstr("cannot write the trace"));
  EXPECT_FALSE(std::filesystem::exists(host_.home().build_cache()));
}

TEST_F(Build, of_another_text_is_explained_by_its_name) {
  EXPECT_EQ(json({"cache", "explain", "bin/tiny"})["why"], "the cache knows no run that made it");
  (void)json({"build"});
  EXPECT_EQ(json({"cache", "explain", "bin/tiny"})["verdict"], "cached");
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  EXPECT_THAT(host_.selfbuild({"cache", "why-miss"}).out,
              HasSubstr("tiny.sh has other contents than in the last run"));
}

// A second project has stages of its own; what it is made of is the same.
TEST_F(Build, shares_what_the_path_is_no_part_of_where_the_host_gives_stages_none_in_common) {
  tests::write(host_.repository() / "CMakeLists.txt",
               "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\n"
               "add_executable(tiny main.cc where.cc)\n");
  tests::write(host_.repository() / "main.cc", "int main() { return 0; }\n");
  tests::write(host_.repository() / "where.cc", "const char* where = __FILE__;\n");
  host_.commit("tiny: a program");
  const Finished first = host_.selfbuild_without_namespaces({"build"});
  if (first.code == 125) GTEST_SKIP() << "only root of a user namespace can take mount namespaces away";
  EXPECT_EQ(first.code, 0) << first.all();
  EXPECT_THAT(first.out, HasSubstr("  cache   no private mount namespace: 1 of 3 edges can be shared between "
                                   "stages, 2 only with this one ("));
  host_.edit("selfbuild.yaml", "Project\nmetadata: {name: tiny}", "Project\nmetadata: {name: another}");
  host_.commit("tiny: under another name");
  const Finished second = host_.selfbuild_without_namespaces({"build", "--json"});
  EXPECT_EQ(second.code, 0) << second.all();
  ASSERT_OK(const Json report, parse_json(second.out));
  EXPECT_EQ(report["edges_total"], 3);
  EXPECT_EQ(report["edges_cached"], 1);
  EXPECT_EQ(report["edges_run"], 2);
  EXPECT_EQ(report["edges_shareable"], 1);
  EXPECT_EQ(report["edges_own"], 2);

  const Json seen = json({"build"});
  if (seen["cache_note"] != "") return;  // nor does this one
  EXPECT_EQ(seen["edges_cached"], 0) << "those that were built at the common path are apart";
  EXPECT_EQ(seen["edges_shareable"], 3);
  EXPECT_EQ(seen["edges_own"], 0);
}

TEST_F(Build, verifies_what_came_from_the_cache) {
  const Finished nothing = host_.selfbuild({"build", "--verify"});
  EXPECT_EQ(nothing.code, 0) << nothing.all();
  EXPECT_THAT(nothing.out, HasSubstr("nothing came from the cache, so nothing was verified"));
  const Finished good = host_.selfbuild({"build", "--verify", "--verify-seed", "12"});
  EXPECT_EQ(good.code, 0) << good.all();
  EXPECT_THAT(good.out,
              HasSubstr("verified 1 of 1 edges from the cache (seed 12): a build makes the same bytes"));
  const Json value = json({"build", "--verify=50"});
  EXPECT_EQ(value["verified"]["percent"], 50);
  EXPECT_EQ(value["verified"]["hits"], 1);
  EXPECT_EQ(value["verified"]["checked"], 1);
  EXPECT_EQ(value["verified"]["wrong"], Json::array());
  EXPECT_EQ(json({"build"})["verified"], Json());
  EXPECT_EQ(host_.selfbuild({"build", "--verify=0"}).code, 2);
}

TEST_F(Build, that_is_interrupted_while_it_verifies_leaves_nothing) {
  // The edge sleeps when it is run once more.
  tests::write(host_.repository() / "CMakeLists.txt",
               "cmake_minimum_required(VERSION 3.25)\nproject(tiny NONE)\n"
               "add_custom_command(OUTPUT out COMMAND sh ${CMAKE_SOURCE_DIR}/make.sh)\n"
               "add_custom_target(program ALL DEPENDS out)\n");
  const std::filesystem::path ran = host_.scratch() / "ran";
  tests::write(host_.repository() / "make.sh", "touch out\nif [ -e " + ran.string() + " ]; then touch " +
                                                   ran.string() + "-again; exec sleep 1000; fi\ntouch " +
                                                   ran.string() + "\n");
  host_.commit("tiny: sleeps");
  if (json({"build"})["cache_note"] != "") GTEST_SKIP() << "nothing is verified on this host";
  tests::Background verifying = host_.selfbuild_in_background({"build", "--verify=100"});
  tests::wait_until([&] { return std::filesystem::exists(ran.string() + "-again"); });
  EXPECT_EQ(::kill(verifying.pid(), SIGINT), 0);
  const Finished ended = verifying.wait();
  EXPECT_EQ(ended.code, 130) << ended.all();
  for (const auto& entry : std::filesystem::directory_iterator(host_.home().build_cache()))
    EXPECT_FALSE(entry.is_directory() && entry.path().filename().string().starts_with("verify-"))
        << entry.path();
}

TEST_F(Build, reads_a_patch_from_where_it_acts) {
  const std::filesystem::path patch = host_.patch("tiny.sh", "edition 1", "edition 2");
  std::filesystem::rename(patch, host_.repository() / "fix.patch");
  const Finished elsewhere = host_.selfbuild_from(
      host_.scratch(), {"-C", host_.repository().string(), "build", "--json", "--patch", "fix.patch"});
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.all();
  ASSERT_OK(const Json report, parse_json(elsewhere.out));
  EXPECT_THAT(tests::read(std::filesystem::path(report["build"]) / "bin/tiny"), HasSubstr("edition 2"));
}

TEST_F(Build, fails_when_a_verified_result_is_wrong_and_the_next_one_is_right) {
  (void)json({"build"});
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  (void)json({"build"});
  {
    // What the second edition makes, under the name of the first one.
    ASSERT_OK(cache::ActionStore store, cache::ActionStore::open(host_.home().build_cache() / "actions.db"));
    ASSERT_OK(std::vector<cache::ResultRow> rows, store.results());
    std::erase_if(rows, [](const auto& row) { return !row.outputs.at(0).path.ends_with("bin/tiny"); });
    ASSERT_EQ(rows.size(), 2U);
    for (const cache::ResultRow& row : rows) {
      const auto& other = row.key == rows[0].key ? rows[1] : rows[0];
      ASSERT_GOOD(store.record({}, std::nullopt, row.key, 0, {.outputs = other.outputs, .printed = {}}, 1));
    }
  }
  const Finished wrong = host_.selfbuild({"build", "--verify=100"});
  EXPECT_EQ(wrong.code, 1) << wrong.all();
  EXPECT_THAT(wrong.out, HasSubstr("1 wrong\n  wrong             bin/tiny\n"));
  EXPECT_THAT(wrong.err, HasSubstr("\nnext:\n  selfbuild build\n"));
  const Json right = json({"build"});
  EXPECT_EQ(right["edges_run"], 1);
  EXPECT_THAT(tests::read(std::filesystem::path(right["build"]) / "bin/tiny"), HasSubstr("edition 2"));
}

}  // namespace
}  // namespace sb
