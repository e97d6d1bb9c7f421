// The chain of the audit log: whatever is done to its rows is found, and the first row that does not fit is
// named.
#include "audit/audit_log.h"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "os/file_system.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::audit {
namespace {

class Audit : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(sqlite::Database database, open_audit_database(folder_.path() / "audit.db"));
    database_.emplace(std::move(database));
  }
  void append(int count, std::int64_t most = AuditLog::kMostRows) {
    for (int i = 0; i < count; ++i) {
      const std::vector<Entry> entries{{.at_ms = 1000 + i,
                                        .uid = 7,
                                        .pid = 8,
                                        .via = "rpc",
                                        .act = "service.restart",
                                        .subject = fmt::format("web{}", i),
                                        .outcome = "ok"}};
      ASSERT_GOOD(database_->transaction([&] { return AuditLog(*database_, most).append(entries); }));
    }
  }
  Verdict verify() {
    Result<Verdict> verdict = AuditLog(*database_).verify();
    EXPECT_TRUE(verdict.has_value());
    return verdict.value_or(Verdict{});
  }
  void tamper(const std::string& sql) {
    const Status done = database_->execute(sql);
    ASSERT_TRUE(done.has_value()) << format_error(done.error());
  }
  void expect_bad(std::int64_t seq, const std::string& why) {
    const Verdict verdict = verify();
    ASSERT_TRUE(verdict.bad.has_value());
    EXPECT_EQ(verdict.bad->seq, seq);
    EXPECT_EQ(verdict.bad->why, why);
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::optional<sqlite::Database> database_;
};

TEST_F(Audit, is_good_as_long_as_nobody_touches_it) {
  EXPECT_FALSE(verify().bad.has_value());
  append(5);
  const Verdict verdict = verify();
  EXPECT_FALSE(verdict.bad.has_value());
  EXPECT_EQ(verdict.first, 1);
  EXPECT_EQ(verdict.last, 5);
  ASSERT_OK(const std::vector<Row> rows, AuditLog(*database_).newest(2));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].seq, 4);
  EXPECT_EQ(rows[1].entry.subject, "web4");
  EXPECT_EQ(rows[1].hash, verdict.hash);
}

TEST_F(Audit, names_the_first_row_of_which_any_column_was_changed) {
  for (const char* change : {"at = at + 1", "uid = 0", "pid = 1", "via = 'http'", "act = 'service.start'",
                             "subject = 'x'", "outcome = 'refused'", "hash = upper(hash)", "hash = ''"}) {
    tamper(
        "DELETE FROM audit; UPDATE audit_ends SET first_seq = 1, before = '', last_seq = 0, last_hash = ''");
    append(5);
    tamper(fmt::format("UPDATE audit SET {} WHERE seq IN (3, 4)", change));
    expect_bad(3, "it is not what was recorded");
  }
}

TEST_F(Audit, names_a_row_that_was_taken_out_and_where_rows_were_cut_off) {
  append(6);
  tamper("DELETE FROM audit WHERE seq = 1");
  expect_bad(1, "it is missing");
  append(0);
  tamper(
      "DELETE FROM audit WHERE seq >= 1; UPDATE audit_ends SET first_seq = 1, before = '', last_seq = 0, "
      "last_hash = ''");
  append(6);
  tamper("DELETE FROM audit WHERE seq IN (3, 5)");
  expect_bad(3, "it is missing");
}

TEST_F(Audit, names_the_first_row_behind_the_end_when_rows_were_cut_off) {
  append(6);
  tamper("DELETE FROM audit WHERE seq > 4");
  expect_bad(5, "it is missing");
}

TEST_F(Audit, names_a_row_that_was_put_in) {
  append(3);
  const std::string columns = "at, uid, pid, via, act, subject, outcome, hash";
  tamper(fmt::format("INSERT INTO audit(seq, {0}) SELECT 4, {0} FROM audit WHERE seq = 3", columns));
  expect_bad(4, "nobody has recorded it");
  tamper("DELETE FROM audit WHERE seq = 4");
  tamper(fmt::format("INSERT INTO audit(seq, {0}) SELECT 0, {0} FROM audit WHERE seq = 1", columns));
  expect_bad(0, "nobody has recorded it");
}

TEST_F(Audit, names_a_row_that_was_put_in_the_place_of_others) {
  append(4);
  tamper(
      "DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2;"
      "UPDATE audit_ends SET last_seq = 3");
  expect_bad(2, "it is not what was recorded");
}

TEST_F(Audit, notices_an_end_that_was_moved_back) {
  append(4);
  tamper("DELETE FROM audit WHERE seq = 4; UPDATE audit_ends SET last_seq = 3");
  expect_bad(3, "it is not the row that the log ended with");
}

TEST_F(Audit, stays_bounded_and_good_when_old_rows_are_pruned) {
  append(35, 10);
  const Verdict verdict = verify();
  EXPECT_FALSE(verdict.bad.has_value());
  EXPECT_GT(verdict.first, 20);
  EXPECT_LE(verdict.last - verdict.first + 1, 11);
  ASSERT_OK(const std::vector<Row> rows, AuditLog(*database_).newest(100));
  const auto prunes =
      std::ranges::count_if(rows, [](const Row& row) { return row.entry.act == "audit.prune"; });
  EXPECT_GE(prunes, 1);
  tamper("UPDATE audit_ends SET before = 'x'");
  expect_bad(verdict.first, "it is not what was recorded");
}

}  // namespace
}  // namespace sb::audit
