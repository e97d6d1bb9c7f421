// Statements and transactions on a real database file.
#include "sqlite/database.h"

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/held_syncs.h"
#include "support/result_matchers.h"
#include "support/slow_disk.h"
#include "support/wait.h"

namespace sb::sqlite {
namespace {

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_GOOD(database_.execute(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, number INTEGER NOT NULL)"));
  }

  static Database opened(const std::filesystem::path& path) {
    Result<Database> database = Database::open(path);
    if (!database) throw std::runtime_error(format_error(database.error()));
    return std::move(*database);
  }
  std::int64_t number(const std::string& sql) {
    Result<Statement> statement = database_.prepare(sql);
    if (!statement) throw std::runtime_error(format_error(statement.error()));
    const Result<bool> row = statement->step();
    if (!row || !*row) throw std::runtime_error("no row: " + sql);
    return statement->integer(0);
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  Database database_ = opened(folder_.path() / "test.db");
};

TEST_F(DatabaseTest, opens_with_the_settings_that_make_a_commit_survive_a_power_cut) {
  {
    ASSERT_OK(Statement mode, database_.prepare("PRAGMA journal_mode"));
    ASSERT_EQ(mode.step(), true);
    EXPECT_EQ(mode.text(0), "wal");
  }
  const int before = tests::syncs();
  ASSERT_GOOD(database_.execute("INSERT INTO t(name, number) VALUES('a', 1)"));
  EXPECT_EQ(tests::syncs(), before + 1);
  EXPECT_EQ(number("PRAGMA foreign_keys"), 1);
}

TEST_F(DatabaseTest, gives_values_back_as_they_were_bound) {
  ASSERT_OK(Statement select, database_.prepare("SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"));
  select.bind(1, INT64_MIN)
      .bind(2, std::string_view())  // its data() is null, and still it is not NULL
      .bind(3, std::string("a\0b", 3))
      .bind_null(4)
      .bind(5, std::optional<std::int64_t>(7))
      .bind(6, std::optional<std::string>())
      .bind(7, "ü");
  ASSERT_EQ(select.step(), true);
  EXPECT_EQ(select.integer(0), INT64_MIN);
  EXPECT_FALSE(select.is_null(1));
  EXPECT_EQ(select.text(1), "");
  EXPECT_EQ(select.text(2), std::string("a\0b", 3));
  EXPECT_TRUE(select.is_null(3));
  EXPECT_EQ(select.text(3), "");
  EXPECT_EQ(select.optional_integer(3), std::nullopt);
  EXPECT_EQ(select.optional_integer(4), 7);
  EXPECT_TRUE(select.is_null(5));
  EXPECT_EQ(select.text(6), "ü");
  EXPECT_EQ(select.step(), false);
}

TEST_F(DatabaseTest, statement_can_be_bound_and_run_again) {
  ASSERT_OK(Statement insert, database_.prepare("INSERT INTO t(name, number) VALUES(?1, ?2)"));
  for (int i = 1; i <= 3; ++i) {
    ASSERT_GOOD(insert.bind(1, "n" + std::to_string(i)).bind(2, i).run());
    EXPECT_EQ(database_.last_insert_id(), i);
    EXPECT_EQ(database_.changes(), 1);
  }
  ASSERT_GOOD(database_.execute("UPDATE t SET number=0 WHERE number>1; "));
  EXPECT_EQ(database_.changes(), 2);
}

TEST_F(DatabaseTest, error_of_a_bind_is_reported_by_the_next_step) {
  ASSERT_OK(Statement insert, database_.prepare("INSERT INTO t(number) VALUES(?1)"));
  const Status ran = insert.bind(1, 1).bind(2, 2).run();
  ASSERT_FALSE(ran.has_value()) << "there is no second parameter";
  EXPECT_EQ(ran.error().kind, ErrorKind::bug);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_F(DatabaseTest, error_names_the_statement_and_the_extended_code) {
  ASSERT_GOOD(database_.execute("INSERT INTO t(name, number) VALUES('a', 1)"));
  ASSERT_OK(Statement insert, database_.prepare("INSERT INTO t(name, number) VALUES(?1, 2)"));
  const Status twice = insert.bind(1, "a").run();
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().kind, ErrorKind::conflict);
  EXPECT_THAT(twice.error().what,
              ::testing::HasSubstr("UNIQUE constraint failed: t.name (SQLite code 2067)"));
  EXPECT_THAT(one_line(twice.error()), ::testing::HasSubstr("INSERT INTO t(name, number)"));
  ASSERT_GOOD(insert.bind(1, "b").run());  // usable after its error
}

TEST_F(DatabaseTest, statement_of_ours_that_is_wrong_is_a_bug) {
  EXPECT_ERROR(ErrorKind::bug, database_.prepare("SELECT nothing FROM nowhere"));
  EXPECT_ERROR(ErrorKind::bug, database_.prepare("  -- nothing"));
  EXPECT_ERROR(ErrorKind::bug, database_.execute("INSERT INTO t(name) VALUES('number is missing')"));
  ASSERT_GOOD(database_.execute("CREATE TABLE child(t INTEGER REFERENCES t(id))"));
  EXPECT_ERROR(ErrorKind::bug, database_.execute("INSERT INTO child VALUES(99)"));
}

TEST_F(DatabaseTest, transaction_is_all_or_nothing) {
  const Status failed = database_.transaction([&]() -> Status {
    SB_CHECK(database_.execute("INSERT INTO t(number) VALUES(1)"));
    return fail(ErrorKind::refused, "half way");
  });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().what, "half way");
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);

  EXPECT_THROW((void)database_.transaction([&]() -> Status {
    (void)database_.execute("INSERT INTO t(number) VALUES(1)");
    throw std::runtime_error("thrown");
  }),
               std::runtime_error);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);

  ASSERT_GOOD(database_.transaction([&] { return database_.execute("INSERT INTO t(number) VALUES(1)"); }));
  EXPECT_EQ(number("SELECT count(*) FROM t"), 1);
}

TEST_F(DatabaseTest, transaction_inside_a_transaction_is_refused_and_leaves_the_outer_one_alone) {
  const auto outer = [&]() -> Status {
    SB_CHECK(database_.execute("INSERT INTO t(number) VALUES(1)"));
    EXPECT_ERROR(ErrorKind::bug, database_.transaction([] { return Status{}; }));
    return {};
  };
  ASSERT_GOOD(database_.transaction(outer));
  EXPECT_EQ(number("SELECT count(*) FROM t"), 1);
}

TEST_F(DatabaseTest, open_transaction_of_another_connection_is_a_conflict) {
  Database other = opened(folder_.path() / "test.db");
  ASSERT_GOOD(other.execute("PRAGMA busy_timeout=0"));
  const auto work = [&]() -> Status {
    EXPECT_ERROR(ErrorKind::conflict, other.transaction([] { return Status{}; }));
    EXPECT_ERROR(ErrorKind::conflict, other.execute("INSERT INTO t(number) VALUES(1)"));
    return {};
  };
  ASSERT_GOOD(database_.transaction(work));
  ASSERT_GOOD(other.execute("INSERT INTO t(number) VALUES(1)"));
}

TEST_F(DatabaseTest, lock_of_another_connection_is_waited_for_and_the_wait_is_told) {
  Database other = opened(folder_.path() / "test.db");
  EXPECT_EQ(other.longest_wait().count(), 0);
  Status waited = fail(ErrorKind::bug, "did not run");
  std::optional<std::jthread> waiter;
  ASSERT_GOOD(database_.transaction([&]() -> Status {
    waiter.emplace([&] {
      waited = other.transaction([&] { return other.execute("INSERT INTO t(number) VALUES(1)"); });
    });
    tests::wait_until([&] { return other.longest_wait().count() > 0; });
    return database_.execute("INSERT INTO t(number) VALUES(2)");
  }));
  waiter.reset();
  ASSERT_GOOD(waited);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 2);
  EXPECT_EQ(database_.longest_wait().count(), 0);
}

TEST_F(DatabaseTest, slow_disk_holds_up_only_whoever_waits_for_it) {
  Database other = opened(folder_.path() / "test.db");
  ASSERT_GOOD(other.execute("INSERT INTO t(number) VALUES(0)"));  // the log's header is written
  ::setenv(tests::kHeldSyncs, (folder_.path() / "held").c_str(), 1);
  Status inserted = fail(ErrorKind::bug, "did not run");
  std::optional<std::jthread> waiter;
  std::optional<tests::HeldSyncs> held(folder_.path() / "held");
  const int before = tests::syncs();
  waiter.emplace([&] { inserted = other.execute("INSERT INTO t(number) VALUES(1)"); });
  tests::wait_until([&] { return tests::syncs() > before; });
  ASSERT_GOOD(database_.execute("BEGIN IMMEDIATE"));
  EXPECT_EQ(number("SELECT count(*) FROM t"), 2) << "committed, and not locked any more";
  ASSERT_GOOD(database_.execute("ROLLBACK"));
  held.reset();
  waiter.reset();
  ASSERT_GOOD(inserted);
}

TEST_F(DatabaseTest, log_that_has_grown_is_brought_into_the_file) {
  const auto size = [&] { return std::filesystem::file_size(folder_.path() / "test.db-wal"); };
  for (int i = 0; i < 2 * kCheckpointPages; ++i) {
    ASSERT_GOOD(database_.execute("INSERT INTO t(number) VALUES(1)"));
  }
  EXPECT_LE(size(), static_cast<std::uintmax_t>(kCheckpointPages + 50) * 4200);
}

TEST_F(DatabaseTest, new_file_can_be_opened_by_several_at_once) {
  for (int round = 0; round < 10; ++round) {
    const auto path = folder_.path() / ("fresh-" + std::to_string(round));
    std::vector<std::string> errors(4);
    {
      std::vector<std::jthread> openers;
      openers.reserve(errors.size());
      for (std::string& error : errors) {
        openers.emplace_back([&error, path] {
          const Result<Database> database = Database::open(path);
          if (!database) error = format_error(database.error());
        });
      }
    }
    EXPECT_THAT(errors, ::testing::Each(""));
  }
}

TEST_F(DatabaseTest, copy_is_of_now_while_others_read_and_write) {
  ASSERT_GOOD(database_.execute("INSERT INTO t(name, number) VALUES('a', 1)"));
  Database other = opened(folder_.path() / "test.db");
  ASSERT_GOOD(other.execute("BEGIN IMMEDIATE"));
  ASSERT_GOOD(other.execute("INSERT INTO t(name, number) VALUES('b', 2)"));
  ASSERT_GOOD(database_.copy_to(folder_.path() / "copy.db"));
  Database copy = opened(folder_.path() / "copy.db");
  ASSERT_OK(Statement count, copy.prepare("SELECT count(*), max(name) FROM t"));
  ASSERT_EQ(count.step(), true);
  EXPECT_EQ(count.integer(0), 1);
  EXPECT_EQ(count.text(1), "a");
  EXPECT_FALSE(database_.copy_to(folder_.path() / "copy.db")) << "something was there already";
}

TEST_F(DatabaseTest, looking_makes_no_file_and_waits_for_no_reader) {
  EXPECT_FALSE(Database::open_to_look(folder_.path() / "none.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "none.db"));
  ASSERT_OK(Statement reading, database_.prepare("SELECT count(*) FROM t"));
  ASSERT_EQ(reading.step(), true);  // and holds its lock until it is reset
  ASSERT_OK(Database looking, Database::open_to_look(folder_.path() / "test.db"));
  ASSERT_OK(Statement check, looking.prepare("PRAGMA quick_check(1)"));
  ASSERT_EQ(check.step(), true);
  EXPECT_EQ(check.text(0), "ok");
  EXPECT_EQ(looking.longest_wait().count(), 0);
}

TEST_F(DatabaseTest, keeps_its_log_when_told_so_and_loses_nothing) {
  const auto path = folder_.path() / "kept.db";
  {
    Database kept = opened(path);
    kept.keep_log();
    ASSERT_GOOD(kept.execute("CREATE TABLE t(number INTEGER); INSERT INTO t VALUES(41)"));
  }
  const auto log = path.string() + "-wal";
  ASSERT_TRUE(std::filesystem::exists(log));
  EXPECT_GT(std::filesystem::file_size(log), 0U);
  database_ = opened(path);
  EXPECT_EQ(number("SELECT number FROM t"), 41);
}

}  // namespace
}  // namespace sb::sqlite
