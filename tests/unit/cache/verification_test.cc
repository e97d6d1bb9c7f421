// What comes from the cache, built once more and compared: the right, the wrong, and what is never the same.
#include "build/verification.h"

#include <algorithm>

#include <fmt/format.h>

#include "artifacts/output_pool.h"
#include "cache/action_store.h"
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kAnswer = "CMakeFiles/tiny.dir/answer.cc.o";
constexpr int kAll = 100;

class Verification : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    request_.list_edges = true;
    cmake("add_executable(tiny main.cc answer.cc)\n");
    write("main.cc", "int answer();\nint main() { return answer() - 42; }\n");
    answer(42);
  }
  void answer(int number) { write("answer.cc", fmt::format("int answer() {{ return {}; }}\n", number)); }

  void build_with_an_undeclared_input() {
    tests::write(host() / "word.txt", "one");
    write_program("tool.sh", "#!/bin/sh\ncat " + (host() / "word.txt").string() + " > out.txt\n");
    cmake(
        "add_custom_command(OUTPUT out.txt COMMAND ${CMAKE_SOURCE_DIR}/tool.sh)\n"
        "add_custom_target(all_of_it ALL DEPENDS out.txt)\n");
    ASSERT_GOOD(build());
  }

  // Builds the project as it is in the next stage, and verifies what came from the cache.
  Result<build::Verified> verify(const build::Sample& sample = {.percent = kAll, .seed = 1}) {
    SB_TRY(const Built built, build());
    return build::verify_hits(request_of(built), built.report, sample, {});
  }
  [[nodiscard]] build::BuildRequest request_of(const Built& built) const {
    build::BuildRequest request = request_;
    request.source = built.tree;
    request.build = built.build;
    request.log = folder() / "log";
    request.view = build::stage_view(built.tree.parent_path());
    request.cache = cache();
    return request;
  }

  [[nodiscard]] Result<cache::ActionStore> store() const {
    return cache::ActionStore::open(cache() / "actions.db");
  }
  // The only result that makes answer.cc.o, but for `other`.
  [[nodiscard]] cache::ResultRow row_of_answer(const Key& other = {}) const {
    Result<cache::ActionStore> opened = store();
    const auto rows = opened ? opened->results() : fail(opened.error());
    EXPECT_TRUE(rows.has_value());
    for (const cache::ResultRow& row : rows ? *rows : std::vector<cache::ResultRow>()) {
      if (row.key != other && row.outputs.size() == 1 && row.outputs.front().path.ends_with(kAnswer))
        return row;
    }
    ADD_FAILURE() << "nothing made " << kAnswer;
    return {};
  }
  // 42 is in the store with what 43 makes.
  void doctor_the_store(cache::ResultRow& right, cache::ResultRow& wrong) {
    ASSERT_GOOD(build());
    right = row_of_answer();
    answer(43);
    ASSERT_GOOD(build());
    wrong = row_of_answer(right.key);
    answer(42);
    ASSERT_OK(cache::ActionStore opened, store());
    ASSERT_GOOD(opened.record({}, std::nullopt, right.key, 0, {.outputs = wrong.outputs, .printed = {}}, 1));
  }
  [[nodiscard]] bool left_something() const {
    return std::ranges::any_of(fs::directory_iterator(cache()), [](const auto& entry) {
      const fs::path name = entry.path().filename();
      return entry.is_directory() && name != "outputs" && name != "memos";
    });
  }
};

TEST_F(Verification, of_a_good_cache_finds_all_as_it_was) {
  ASSERT_OK(const build::Verified none, verify());
  EXPECT_EQ(none.hits, 0);
  EXPECT_EQ(none.checked, 0) << "the first build took nothing from the cache";
  ASSERT_OK(const build::Verified all, verify());
  EXPECT_EQ(all.hits, 3);
  EXPECT_EQ(all.checked, 3);
  EXPECT_THAT(all.wrong, IsEmpty());
  EXPECT_THAT(all.unreproducible, IsEmpty());
  EXPECT_THAT(all.made_of_these, IsEmpty());
  EXPECT_FALSE(left_something());
  expect_all_hits();
}

TEST_F(Verification, checks_the_share_that_was_asked_for_and_at_least_one) {
  ASSERT_GOOD(build());
  for (const auto& [percent, checked] : {std::pair(1, 1), {33, 1}, {34, 2}, {67, 3}}) {
    ASSERT_OK(const build::Verified some, verify({.percent = percent, .seed = 5}));
    EXPECT_EQ(some.hits, 3);
    EXPECT_EQ(some.checked, checked) << percent;
    EXPECT_THAT(some.wrong, IsEmpty());
  }
}

TEST_F(Verification, leaves_the_stage_as_it_is) {
  ASSERT_GOOD(build());
  ASSERT_OK(const Built built, build());
  const auto before = products_of(built.build);
  const auto time = fs::last_write_time(built.build / "tiny");
  ASSERT_GOOD(build::verify_hits(request_of(built), built.report, {.percent = kAll, .seed = 1}, {}));
  EXPECT_EQ(products_of(built.build), before);
  EXPECT_EQ(fs::last_write_time(built.build / "tiny"), time);
}

TEST_F(Verification, names_a_wrong_result_and_drops_it) {
  cache::ResultRow right;
  cache::ResultRow wrong;
  doctor_the_store(right, wrong);
  ASSERT_OK(const build::Verified found, verify());
  EXPECT_EQ(found.hits, 3);
  EXPECT_THAT(found.wrong, ElementsAre(kAnswer));
  EXPECT_THAT(found.made_of_these, ElementsAre("tiny")) << "linked of it";
  EXPECT_THAT(found.unreproducible, IsEmpty());
  EXPECT_FALSE(left_something());

  EXPECT_EQ(build_and_compare().report.edges_run, 2) << "what was dropped, and what reads it";
  EXPECT_EQ(row_of_answer(wrong.key).outputs, right.outputs);
  ASSERT_OK(const build::Verified mended, verify());
  EXPECT_EQ(mended.checked, 3);
  EXPECT_THAT(mended.wrong, IsEmpty());
}

TEST_F(Verification, keeps_a_wrong_result_away_for_good) {
  cache::ResultRow right;
  cache::ResultRow wrong;
  doctor_the_store(right, wrong);
  ASSERT_GOOD(verify());
  ASSERT_OK(cache::ActionStore opened, store());
  // As a remote cache would bring it back.
  ASSERT_GOOD(opened.record({}, std::nullopt, right.key, 0, {.outputs = wrong.outputs, .printed = {}}, 2));
  ASSERT_OK(const auto offered, opened.result(right.key, 0));
  EXPECT_FALSE(offered.has_value());
  ASSERT_GOOD(opened.record({}, std::nullopt, right.key, 0, {.outputs = right.outputs, .printed = {}}, 3));
  ASSERT_OK(const auto good, opened.result(right.key, 0));
  EXPECT_TRUE(good.has_value());
}

TEST_F(Verification, tells_what_is_never_the_same_from_what_is_wrong) {
  write_program("dice.sh", "#!/bin/sh\nod -An -N16 -tx8 /dev/urandom > dice.txt\n");
  cmake(
      "add_custom_command(OUTPUT dice.txt COMMAND ${CMAKE_SOURCE_DIR}/dice.sh\n"
      "  DEPENDS ${CMAKE_SOURCE_DIR}/dice.sh)\n"
      "add_custom_command(OUTPUT copy.txt COMMAND cat dice.txt > copy.txt DEPENDS dice.txt)\n"
      "add_custom_command(OUTPUT good.txt COMMAND echo good > good.txt)\n"
      "add_custom_target(all_of_it ALL DEPENDS copy.txt good.txt)\n");
  ASSERT_GOOD(build());
  ASSERT_OK(const build::Verified found, verify());
  EXPECT_EQ(found.checked, 3);
  EXPECT_THAT(found.unreproducible, ElementsAre("dice.txt"));
  EXPECT_THAT(found.made_of_these, ElementsAre("copy.txt"));
  EXPECT_THAT(found.wrong, IsEmpty());
  expect_all_hits();
}

TEST_F(Verification, sees_what_an_edge_writes_that_the_cache_could_not_know_of) {
  build_with_an_undeclared_input();
  tests::write(host() / "word.txt", "another");
  ASSERT_OK(const build::Verified found, verify());
  EXPECT_THAT(found.wrong, ElementsAre("out.txt")) << "an input that nobody declares";
  EXPECT_EQ(build_and_compare().report.edges_run, 1);
}

TEST_F(Verification, that_cannot_build_the_sample_says_so_and_leaves_nothing) {
  build_with_an_undeclared_input();
  fs::remove(host() / "word.txt");
  const Result<build::Verified> failed = verify();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().kind, ErrorKind::build_failed) << format_error(failed.error());
  EXPECT_FALSE(left_something());
  expect_all_hits();
}

TEST_F(Verification, that_is_stopped_leaves_nothing) {
  ASSERT_GOOD(build());
  ASSERT_OK(const Built built, build());
  std::stop_source stop;
  EXPECT_ERROR(ErrorKind::interrupted,
               build::verify_hits(
                   request_of(built), built.report, {.percent = kAll, .seed = 1},
                   [&](const build::Progress&) { stop.request_stop(); }, stop.get_token()));
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_FALSE(left_something());
}

TEST_F(Verification, is_not_possible_where_each_stage_has_a_path_of_its_own) {
  ASSERT_OK(const Built built, build());
  build::BuildRequest request = request_of(built);
  request.view.reset();
  const Result<build::Verified> refused = build::verify_hits(request, built.report, {}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::environment);
  EXPECT_EQ(one_line(refused.error()).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace sb::tests
