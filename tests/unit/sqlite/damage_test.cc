// What the disk can do to a database, and which kind of error comes of it.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sqlite/database.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::sqlite {
namespace {

using ::testing::HasSubstr;

TEST(DatabaseDamage, file_that_is_no_database_is_corrupt_and_left_as_it_is) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const auto path = folder.path() / "notes.db";
  const std::string notes = "these are notes, not a database; " + std::string(4096, 'x');
  tests::write(path, notes);
  const Result<Database> database = Database::open(path);
  ASSERT_FALSE(database.has_value());
  EXPECT_EQ(database.error().kind, ErrorKind::corrupt) << format_error(database.error());
  EXPECT_THAT(database.error().what, HasSubstr("(SQLite code 26)"));
  EXPECT_THAT(one_line(database.error()), HasSubstr("notes.db"));
  EXPECT_EQ(tests::read(path), notes);
}

TEST(DatabaseDamage, overwritten_pages_are_corrupt) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const auto path = folder.path() / "test.db";
  {
    ASSERT_OK(Database database, Database::open(path));
    ASSERT_GOOD(database.execute("CREATE TABLE t(text TEXT)"));
    ASSERT_GOOD(
        database.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) "
                         "INSERT INTO t SELECT hex(zeroblob(100)) FROM n"));
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);  // the first page holds the schema; everything behind it is the table
    const std::string noise(4096 * 8, '\xa5');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  ASSERT_OK(Database database, Database::open(path));
  ASSERT_OK(Statement select, database.prepare("SELECT sum(length(text)) FROM t"));
  EXPECT_ERROR(ErrorKind::corrupt, select.step());
}

TEST(DatabaseDamage, missing_folder_is_the_environment_s_fault) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const Result<Database> database = Database::open(folder.path() / "none" / "test.db");
  ASSERT_FALSE(database.has_value());
  EXPECT_EQ(database.error().kind, ErrorKind::environment);
  EXPECT_THAT(database.error().what, HasSubstr("none/test.db"));
}

TEST(DatabaseDamage, full_disk_rolls_back_and_the_database_works_on) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  ASSERT_OK(Database database, Database::open(folder.path() / "test.db"));
  ASSERT_GOOD(database.execute("CREATE TABLE t(bytes BLOB)"));
  ASSERT_GOOD(database.execute("PRAGMA max_page_count=10"));
  const Status full = database.transaction([&]() -> Status {
    SB_CHECK(database.execute("INSERT INTO t VALUES(zeroblob(100))"));
    return database.execute("INSERT INTO t VALUES(zeroblob(1000000))");
  });
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().kind, ErrorKind::environment);
  EXPECT_THAT(full.error().what, HasSubstr("(SQLite code 13)"));
  ASSERT_OK(Statement count, database.prepare("SELECT count(*) FROM t"));
  ASSERT_EQ(count.step(), true);
  EXPECT_EQ(count.integer(0), 0);
  ASSERT_GOOD(database.transaction([&] { return database.execute("INSERT INTO t VALUES(zeroblob(100))"); }));
}

TEST(DatabaseDamage, read_only_database_is_the_environment_s_fault) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  ASSERT_OK(Database database, Database::open(folder.path() / "test.db"));
  // Permission bits do not bind root; this pragma makes SQLite answer the same to everybody.
  ASSERT_GOOD(database.execute("PRAGMA query_only=ON"));
  EXPECT_ERROR(ErrorKind::environment, database.execute("CREATE TABLE t(a)"));
}

}  // namespace
}  // namespace sb::sqlite
