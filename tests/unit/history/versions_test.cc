// Versions: numbers that never change meaning, what they are made of, and the nightly back-off.
#include <gmock/gmock.h>

#include "unit/history/history_test.h"

namespace sb::history {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using VersionsTest = HistoryTest;

artifacts::ObjectId object(char digit, std::uint64_t size) {
  return {.xxh3 = std::string(32, digit), .size = size};
}

TEST_F(VersionsTest, version_comes_back_as_it_was_kept) {
  Version version{
      .project = "demo",
      .number = 99,  // ignored: the history gives the number
      .outputs = {{.path = "bin/demo", .object = object('a', 5'000'000'000), .sha256 = "s1", .mode = 0755},
                  {.path = "README", .object = object('b', 0), .sha256 = "s2", .mode = 0644}},
      .digest = "d",
      .services_json = "[]",
      .commit = "c",
      .tree = "t",
      .patch_sha256 = "p",
      .compiler = "GNU 12.2.0",
      .options = "{}",
      .test_results = "412 passed",
      .requested_by = "cli:alice",
      .cycle = 3,
      .created_ms = 0,
      .state = VersionState::candidate,
      .state_reason = "new"};
  ASSERT_OK(const int number, history().add_version(version));
  EXPECT_EQ(number, 1);
  ASSERT_OK(const Version kept, history().version("demo", 1));
  EXPECT_EQ(kept.project, "demo");
  EXPECT_EQ(kept.number, 1);
  ASSERT_EQ(kept.outputs.size(), 2U);
  EXPECT_EQ(kept.outputs[0].path, "README") << "in the order of their paths";
  EXPECT_EQ(kept.outputs[0].mode, 0644U);
  EXPECT_EQ(kept.outputs[1].path, "bin/demo");
  EXPECT_EQ(kept.outputs[1].object, object('a', 5'000'000'000));
  EXPECT_EQ(kept.outputs[1].sha256, "s1");
  EXPECT_EQ(kept.digest, "d");
  EXPECT_EQ(kept.services_json, "[]");
  EXPECT_EQ(kept.commit, "c");
  EXPECT_EQ(kept.tree, "t");
  EXPECT_EQ(kept.patch_sha256, "p");
  EXPECT_EQ(kept.compiler, "GNU 12.2.0");
  EXPECT_EQ(kept.options, "{}");
  EXPECT_EQ(kept.test_results, "412 passed");
  EXPECT_EQ(kept.requested_by, "cli:alice");
  EXPECT_EQ(kept.cycle, 3);
  EXPECT_EQ(kept.created_ms, 1000);
  EXPECT_EQ(kept.state, VersionState::candidate);
  EXPECT_EQ(kept.state_reason, "new");
}

TEST_F(VersionsTest, numbers_ascend_from_one_per_project) {
  EXPECT_EQ(history().add_version(version_of("a", 1)), 1);
  EXPECT_EQ(history().add_version(version_of("a", 2)), 2);
  EXPECT_EQ(history().add_version(version_of("b", 3)), 1);
  EXPECT_EQ(history().add_version(version_of("a", 4)), 3);
}

TEST_F(VersionsTest, adding_a_cycle_s_version_again_gives_the_number_of_the_first_time) {
  ASSERT_EQ(history().add_version(version_of("a", 1)), 1);
  ASSERT_EQ(history().add_version(version_of("a", 2)), 2);
  Version again = version_of("a", 1);
  again.digest = "another";
  EXPECT_EQ(history().add_version(again), 1);
  EXPECT_EQ(history().version("a", 1)->digest, "digest of c-1");
  EXPECT_EQ(history().versions("a")->size(), 2U);
}

TEST_F(VersionsTest, version_whose_outputs_cannot_be_recorded_is_not_kept) {
  Version twice = version_of("a", 1);
  twice.outputs = {{.path = "bin/a", .object = object('a', 1), .sha256 = "s"},
                   {.path = "bin/a", .object = object('b', 1), .sha256 = "s"}};
  EXPECT_ERROR(ErrorKind::conflict, history().add_version(twice));
  EXPECT_EQ(count("version"), 0);
  EXPECT_EQ(count("version_output"), 0);
  EXPECT_EQ(history().add_version(version_of("a", 1)), 1);
}

TEST_F(VersionsTest, missing_version_names_the_newest) {
  const auto none = history().version("demo", 1);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().kind, ErrorKind::not_found);
  EXPECT_EQ(none.error().what, "project demo has no versions yet");
  ASSERT_GOOD(history().add_version(version_of("demo", 1)));
  ASSERT_GOOD(history().add_version(version_of("demo", 2)));
  const auto ninth = history().version("demo", 9);
  ASSERT_FALSE(ninth.has_value());
  EXPECT_EQ(ninth.error().what, "there is no v9 of project demo; the newest is v2");
  EXPECT_EQ(ninth.error().next, "selfbuild history");
}

TEST_F(VersionsTest, list_is_newest_first_with_outputs) {
  for (int cycle = 1; cycle <= 3; ++cycle) {
    Version version = version_of("a", cycle);
    version.outputs = {{.path = "bin/a" + std::to_string(cycle), .object = object('a', 1), .sha256 = "s"}};
    ASSERT_GOOD(history().add_version(version));
  }
  ASSERT_OK(const auto versions, history().versions("a"));
  ASSERT_EQ(versions.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    const Version& version = versions[static_cast<std::size_t>(i)];
    EXPECT_EQ(version.number, 3 - i);
    ASSERT_EQ(version.outputs.size(), 1U);
    EXPECT_EQ(version.outputs[0].path, "bin/a" + std::to_string(3 - i));
  }
}

TEST_F(VersionsTest, tree_is_found_by_its_newest_version_with_a_verdict) {
  Version version = version_of("a", 1);
  version.tree = "same";
  version.outputs = {{.path = "bin/a", .object = object('a', 1), .sha256 = "s"}};
  ASSERT_GOOD(history().add_version(version));
  version.cycle = 2;
  ASSERT_GOOD(history().add_version(version));
  EXPECT_EQ(history().judged_version_of_tree("a", "same")->has_value(), false) << "only candidates";
  ASSERT_GOOD(history().set_version_state("a", 1, VersionState::known_good, ""));
  EXPECT_EQ(history().judged_version_of_tree("a", "same").value()->number, 1);
  ASSERT_GOOD(history().set_version_state("a", 2, VersionState::rejected, "ill"));
  ASSERT_OK(const auto found, history().judged_version_of_tree("a", "same"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->number, 2);
  EXPECT_EQ(history().judged_version_of_tree("a", "other")->has_value(), false);
  EXPECT_EQ(history().judged_version_of_tree("b", "same")->has_value(), false);

  ASSERT_GOOD(history().drop_outputs("a", 2));
  EXPECT_EQ(history().judged_version_of_tree("a", "same").value()->number, 1);
  ASSERT_GOOD(history().drop_outputs("a", 1));
  EXPECT_EQ(history().judged_version_of_tree("a", "same")->has_value(), false)
      << "there is nothing to promote";
}

TEST_F(VersionsTest, state_changes_with_its_reason_and_nothing_else) {
  ASSERT_GOOD(history().add_version(version_of("a", 1)));
  ASSERT_GOOD(history().add_version(version_of("a", 2)));
  ASSERT_GOOD(history().set_version_state("a", 1, VersionState::rolled_back, "died twice"));
  EXPECT_EQ(history().version("a", 1)->state, VersionState::rolled_back);
  EXPECT_EQ(history().version("a", 1)->state_reason, "died twice");
  EXPECT_EQ(history().version("a", 1)->digest, "digest of c-1");
  EXPECT_EQ(history().version("a", 2)->state, VersionState::candidate);
  EXPECT_ERROR(ErrorKind::not_found, history().set_version_state("a", 3, VersionState::known_good, ""));
}

TEST_F(VersionsTest, unknown_state_is_corrupt) {
  ASSERT_GOOD(history().add_version(version_of("a", 1)));
  ASSERT_GOOD(history().database().execute("UPDATE version SET state='good_enough'"));
  EXPECT_ERROR(ErrorKind::corrupt, history().version("a", 1));
  EXPECT_ERROR(ErrorKind::corrupt, history().versions("a"));
}

TEST_F(VersionsTest, projects_are_those_with_a_cycle_or_a_version) {
  EXPECT_THAT(history().projects().value(), IsEmpty());
  ASSERT_GOOD(history().add_version(version_of("b", 1)));
  ASSERT_GOOD(history().begin_cycle(update_of("c"), "{}"));
  ASSERT_GOOD(history().begin_cycle(update_of("a"), "{}"));
  ASSERT_GOOD(history().begin_cycle(update_of("b"), "{}"));
  EXPECT_THAT(history().projects().value(), ElementsAre("a", "b", "c"));
}

TEST_F(VersionsTest, referenced_objects_are_outputs_and_patches) {
  Version version = version_of("a", 1);
  version.outputs = {{.path = "x", .object = object('a', 1), .sha256 = "s"},
                     {.path = "y", .object = object('b', 2), .sha256 = "s"}};
  ASSERT_GOOD(history().add_version(version));
  version.cycle = 2;
  ASSERT_GOOD(history().add_version(version));
  Cycle patched = update_of("a");
  patched.improvement_plan = R"({"patch":")" + object('c', 3).to_string() + R"("})";
  ASSERT_GOOD(history().begin_cycle(patched, "{}"));
  ASSERT_GOOD(history().begin_cycle(update_of("a"), "{}"));
  const auto names = [&] {
    std::vector<std::string> texts;
    const auto objects = history().referenced_objects();
    for (const auto& id : objects.value()) texts.push_back(id.to_string());
    return texts;
  };
  EXPECT_THAT(names(), UnorderedElementsAre(object('a', 1).to_string(), object('b', 2).to_string(),
                                            object('c', 3).to_string()));

  ASSERT_GOOD(history().drop_outputs("a", 1));
  EXPECT_EQ(names().size(), 3U) << "v2 still has them";
  ASSERT_GOOD(history().drop_outputs("a", 2));
  EXPECT_THAT(names(), ElementsAre(object('c', 3).to_string()));
  EXPECT_THAT(history().version("a", 1)->outputs, IsEmpty());
  EXPECT_EQ(history().version("a", 1)->digest, "digest of c-1");
  ASSERT_GOOD(history().drop_outputs("a", 1));
  EXPECT_ERROR(ErrorKind::not_found, history().drop_outputs("a", 3));
  EXPECT_EQ(history().add_version(version_of("a", 5)), 3) << "a number without outputs is never given again";
}

TEST_F(VersionsTest, backoff_is_remembered_per_project) {
  EXPECT_EQ(history().backoff("a")->failures, 0);
  EXPECT_EQ(history().backoff("a")->not_before_ms, 0);
  ASSERT_GOOD(history().set_backoff("a", {.failures = 1, .not_before_ms = 5000}));
  ASSERT_GOOD(history().set_backoff("a", {.failures = 2, .not_before_ms = 9000}));
  open(mine_);
  EXPECT_EQ(history().backoff("a")->failures, 2);
  EXPECT_EQ(history().backoff("a")->not_before_ms, 9000);
  EXPECT_EQ(history().backoff("b")->failures, 0);
}

}  // namespace
}  // namespace sb::history
