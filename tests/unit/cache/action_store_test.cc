// The index of the build cache, as several processes use it.
#include "cache/action_store.h"

#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "artifacts/output_pool.h"
#include "cache/upkeep.h"
#include "sqlite/database.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

class ActionStores : public testing::Test {
 protected:
  [[nodiscard]] ActionStore open() const { return ActionStore::open(folder_.path() / "actions.db").value(); }
  static Key key(const std::string& name) { return key_of(name); }
  static Result<bool> record(ActionStore& store, const std::string& name, std::int64_t owner = 0) {
    return store.record(key(name), {}, key(name), owner, {.outputs = {}, .printed = name}, 1);
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
};

TEST_F(ActionStores, others_get_a_turn_while_one_writes_without_an_end) {
  ActionStore store = open();
  std::atomic<bool> served = false;
  Status waited = fail(ErrorKind::bug, "did not run");
  ASSERT_GOOD(store.begin_writing());
  ASSERT_GOOD(record(store, "first"));
  {
    const std::jthread other([&] {
      ActionStore mine = open();
      waited = [&]() -> Status {
        SB_CHECK(mine.begin_writing());
        SB_CHECK(record(mine, "from another"));
        return mine.end_writing();
      }();
      served = true;
    });
    for (int i = 0; !served; ++i) ASSERT_GOOD(record(store, fmt::format("row {}", i)));
  }
  ASSERT_GOOD(waited);
  ASSERT_GOOD(store.end_writing());
  ASSERT_OK(const auto theirs, store.result(key("from another"), 0));
  EXPECT_TRUE(theirs.has_value());
}

TEST_F(ActionStores, results_of_a_cycle_are_trusted_or_gone_by_its_verdict) {
  ActionStore store = open();
  ASSERT_GOOD(store.begin_writing());
  for (int i = 0; i < 100; ++i) {
    ASSERT_GOOD(record(store, fmt::format("kept {}", i), 7));
    ASSERT_GOOD(record(store, fmt::format("rejected {}", i), 8));
    ASSERT_GOOD(record(store, fmt::format("trusted {}", i)));
  }
  ASSERT_GOOD(store.end_writing());
  ASSERT_GOOD(store.trust(7));
  ASSERT_GOOD(store.distrust(8));
  ASSERT_GOOD(store.trust(0));
  ASSERT_GOOD(store.distrust(0));
  ASSERT_OK(const std::vector<ResultRow> rows, store.results());
  EXPECT_EQ(rows.size(), 200U);
  for (const ResultRow& row : rows) EXPECT_EQ(row.owner, 0);
  for (int i = 0; i < 100; ++i) {
    for (const std::string kind : {"kept", "rejected", "trusted"}) {
      ASSERT_OK(const auto result, store.result(key(fmt::format("{} {}", kind, i)), 0));
      EXPECT_EQ(result.has_value(), kind != "rejected") << kind << i;
    }
  }
}

// Runs whose inputs only they had, as a build writes them.
class Sweep : public ActionStores {
 protected:
  static void run(ActionStore& store, const std::string& name, const std::vector<std::string>& inputs) {
    ASSERT_GOOD(store.begin_writing());
    std::vector<ActionStore::PathId> ids;
    for (const std::string& input : inputs) {
      ASSERT_OK(const ActionStore::PathId id, store.path_id(input));
      ids.push_back(id);
    }
    ASSERT_OK(const ActionStore::ListId list, store.list_id(ids));
    ASSERT_GOOD(
        store.record(key(name + " runs"), list, key(name), 0, {.outputs = {}, .printed = {}}, kLongAgo));
    ASSERT_GOOD(store.note_run({.action = key(name + " runs"),
                                .list = list,
                                .result = key(name),
                                .output = "/" + name + ".o",
                                .parts = {},
                                .inputs = {ids.front()}},
                               kLongAgo));
    ASSERT_GOOD(store.end_writing());
  }
  static std::vector<std::string> inputs_of(ActionStore& store, const std::string& name) {
    std::vector<std::string> inputs;
    const auto lists = store.lists_of(key(name + " runs"));
    if (!lists || lists->size() != 1) return inputs;
    const std::vector<ActionStore::PathId> ids = store.list(lists->front()).value();
    inputs.reserve(ids.size());
    for (const ActionStore::PathId id : ids) inputs.push_back(store.path(id).value());
    return inputs;
  }
  [[nodiscard]] std::int64_t count(const std::string& table) const {
    sqlite::Database database = sqlite::Database::open(folder_.path() / "actions.db").value();
    sqlite::Statement rows = database.prepare("SELECT count(*) FROM " + table).value();
    EXPECT_TRUE(rows.step().value());
    return rows.integer(0);
  }
  static void drop(ActionStore& store, const std::string& name) {
    ASSERT_GOOD(store.drop(std::vector<ResultRow>{{.key = key(name)}}));
  }
  static constexpr std::int64_t kLongAgo = 1;
};

TEST_F(Sweep, removes_the_lists_and_paths_of_results_that_are_gone) {
  ActionStore store = open();
  run(store, "gone", {"/gone.cc", "/both.h", "/gone.h"});
  run(store, "kept", {"/kept.cc", "/both.h"});
  drop(store, "gone");
  ASSERT_GOOD(store.sweep());
  EXPECT_EQ(count("shown"), 1);
  EXPECT_EQ(count("input_list"), 1);
  EXPECT_EQ(count("path"), 3) << "/kept.cc, /both.h, /kept.o";
  EXPECT_TRUE(inputs_of(store, "gone").empty());
  EXPECT_EQ(inputs_of(store, "kept"), (std::vector<std::string>{"/kept.cc", "/both.h"}));
}

TEST_F(Sweep, is_part_of_pruning) {
  ActionStore store = open();
  const artifacts::OutputPool pool(folder_.path() / "outputs");
  ASSERT_GOOD(pool.put_bytes({.digest = key_of("bytes"), .size = 5}, "bytes"));
  run(store, "gone", {"/gone.cc"});
  ASSERT_GOOD(store.record(
      key("gone runs"), {}, key("gone"), 0,
      {.outputs = {{.path = "/gone.o", .id = {.digest = key_of("bytes"), .size = 5}}}, .printed = {}},
      kLongAgo));
  run(store, "last", {"/last.cc"});
  ASSERT_OK(const Pruned pruned,
            prune(store, pool, 0, std::int64_t{1} << 50, [](std::int64_t) { return false; }));
  EXPECT_EQ(pruned.results, 1);
  EXPECT_EQ(count("shown"), 1) << "that of \"last\", which takes no room";
  EXPECT_EQ(count("path"), 2);
}

TEST_F(Sweep, is_noticed_by_who_writes_meanwhile) {
  ActionStore other = open();
  run(other, "gone", {"/gone.cc", "/both.h"});
  ActionStore store = open();
  run(store, "kept", {"/kept.cc"});
  drop(store, "gone");
  ASSERT_GOOD(store.sweep());
  EXPECT_EQ(count("path"), 2);
  run(other, "again", {"/both.h", "/gone.cc"});
  EXPECT_EQ(inputs_of(store, "again"), (std::vector<std::string>{"/both.h", "/gone.cc"}));
  EXPECT_EQ(inputs_of(other, "again"), (std::vector<std::string>{"/both.h", "/gone.cc"}));
}

TEST_F(Sweep, leaves_lists_alone_as_long_as_a_result_of_before_may_need_them) {
  ActionStore store = open();
  run(store, "gone", {"/gone.cc"});
  run(store, "old", {"/old.cc"});
  drop(store, "gone");
  sqlite::Database database = sqlite::Database::open(folder_.path() / "actions.db").value();
  ASSERT_GOOD(database.execute("UPDATE result SET action=NULL"));
  ASSERT_GOOD(store.sweep());
  EXPECT_EQ(count("shown"), 2);
  drop(store, "old");
  ASSERT_GOOD(store.sweep());
  EXPECT_EQ(count("shown"), 0);
}

}  // namespace
}  // namespace sb::cache
