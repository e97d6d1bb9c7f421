// The index of the build cache, as several processes use it.
#include "cache/action_store.h"

#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

class ActionStores : public testing::Test {
 protected:
  [[nodiscard]] ActionStore open() const { return ActionStore::open(folder_.path() / "actions.db").value(); }
  static Key key(const std::string& name) { return key_of(name); }
  static Status record(ActionStore& store, const std::string& name, std::int64_t owner = 0) {
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

}  // namespace
}  // namespace sb::cache
