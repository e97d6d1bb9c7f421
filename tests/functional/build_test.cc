// selfbuild build and selfbuild cache, from end to end: what they say of one build and of the next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/files.h"
#include "support/installation.h"

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

}  // namespace
}  // namespace sb
