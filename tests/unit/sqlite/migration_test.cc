// Migrations: forward only, each step whole, never a newer program's database.
#include <array>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sqlite/database.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::sqlite {
namespace {

constexpr std::array kOne = {Migration{.number = 1, .sql = "CREATE TABLE a(x); INSERT INTO a VALUES(1);"}};
constexpr std::array kTwo = {kOne[0],
                             Migration{.number = 2, .sql = "ALTER TABLE a ADD COLUMN y; UPDATE a SET y=2;"}};

Result<std::string> dump(Database& database) {
  std::string text;
  SB_TRY(Statement tables,
         database.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"));
  while (true) {
    SB_TRY(const bool row, tables.step());
    if (!row) break;
    text += tables.text(0) + "\n";
  }
  SB_TRY(Statement versions,
         database.prepare("SELECT component||'='||version FROM schema_version ORDER BY component"));
  while (true) {
    SB_TRY(const bool row, versions.step());
    if (!row) return text;
    text += versions.text(0) + "\n";
  }
}

class MigrationTest : public ::testing::Test {
 protected:
  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::filesystem::path path_ = folder_.path() / "test.db";
};

TEST_F(MigrationTest, applies_each_step_once) {
  ASSERT_OK(Database database, Database::open(path_));
  ASSERT_GOOD(database.migrate("a", kOne));
  ASSERT_GOOD(database.migrate("a", kOne));
  ASSERT_GOOD(database.migrate("a", kTwo));
  ASSERT_GOOD(database.migrate("a", kTwo));
  ASSERT_OK(Statement row, database.prepare("SELECT count(*), sum(y) FROM a"));
  ASSERT_EQ(row.step(), true);
  EXPECT_EQ(row.integer(0), 1);
  EXPECT_EQ(row.integer(1), 2);
}

TEST_F(MigrationTest, refuses_a_newer_program_s_tables_and_leaves_them_as_they_are) {
  ASSERT_OK(Database database, Database::open(path_));
  ASSERT_GOOD(database.migrate("a", kTwo));
  ASSERT_OK(const std::string before, dump(database));
  const Status older = database.migrate("a", kOne);
  ASSERT_FALSE(older.has_value());
  EXPECT_EQ(older.error().kind, ErrorKind::conflict);
  EXPECT_EQ(older.error().expected, "schema 1 or older");
  EXPECT_EQ(older.error().found, "schema 2");
  ASSERT_OK(const std::string after, dump(database));
  EXPECT_EQ(after, before);
}

TEST_F(MigrationTest, step_that_fails_leaves_the_step_before) {
  ASSERT_OK(Database database, Database::open(path_));
  ASSERT_GOOD(database.migrate("a", kOne));
  ASSERT_OK(const std::string before, dump(database));
  const std::array broken = {kOne[0], Migration{.number = 2, .sql = "CREATE TABLE b(x); CREATE TABLE a(x);"}};
  const Status failed = database.migrate("a", broken);
  ASSERT_FALSE(failed.has_value());
  EXPECT_THAT(one_line(failed.error()), ::testing::HasSubstr("migrating the tables of a to schema 2"));
  ASSERT_OK(const std::string after, dump(database));
  EXPECT_EQ(after, before);
  ASSERT_GOOD(database.migrate("a", kTwo));
}

TEST_F(MigrationTest, components_are_counted_apart) {
  ASSERT_OK(Database database, Database::open(path_));
  ASSERT_GOOD(database.migrate("a", kTwo));
  const std::array other = {Migration{.number = 1, .sql = "CREATE TABLE other(x)"}};
  ASSERT_GOOD(database.migrate("b", other));
  ASSERT_OK(const std::string text, dump(database));
  EXPECT_THAT(text, ::testing::HasSubstr("a=2\nb=1\n"));
}

TEST_F(MigrationTest, numbers_must_ascend_from_one) {
  ASSERT_OK(Database database, Database::open(path_));
  const std::array gap = {kOne[0], Migration{.number = 3, .sql = "SELECT 1"}};
  EXPECT_ERROR(ErrorKind::bug, database.migrate("a", gap));
}

TEST_F(MigrationTest, several_at_once_apply_each_step_once) {
  std::vector<std::string> errors(4);
  {
    std::vector<std::jthread> programs;
    programs.reserve(errors.size());
    for (std::string& error : errors) {
      programs.emplace_back([this, &error] {
        Result<Database> database = Database::open(path_);
        const Status migrated = database ? database->migrate("a", kTwo) : Status(fail(database.error()));
        if (!migrated) error = format_error(migrated.error());
      });
    }
  }
  EXPECT_THAT(errors, ::testing::Each(""));
  ASSERT_OK(Database database, Database::open(path_));
  ASSERT_OK(Statement count, database.prepare("SELECT count(*) FROM a"));
  ASSERT_EQ(count.step(), true);
  EXPECT_EQ(count.integer(0), 1);
}

}  // namespace
}  // namespace sb::sqlite
