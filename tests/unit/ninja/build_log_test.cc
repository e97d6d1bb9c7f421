// .ninja_log: its hash, and files that no Ninja has just written.
#include "ninja/build_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::ninja {
namespace {

constexpr std::string_view kHeader = "# ninja log v5\n";

class BuildLogFile : public testing::Test {
 protected:
  Result<BuildLog> load(std::string_view lines, std::string_view header = kHeader) {
    tests::write(folder_.path() / ".ninja_log", std::string(header) + std::string(lines));
    return load_build_log(folder_.path());
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

TEST(CommandHash, is_that_of_ninja) {
  // Taken from a log that Ninja 1.11.1 wrote.
  EXPECT_EQ(command_hash("touch a"), 0x9544b174230a39b3U);
  EXPECT_EQ(command_hash("touch ab"), 0x2b8f0b7ceebf7963U);
  EXPECT_EQ(command_hash("touch long;rspfile=x"), 0x65ea7f48f90d0c0dU);
  EXPECT_EQ(command_hash(":"), 0x2e49d2477c6737f0U);
}

TEST_F(BuildLogFile, is_empty_when_there_is_none) {
  ASSERT_OK(const BuildLog none, load_build_log(folder_.path()));
  EXPECT_TRUE(none.entries.empty());
  ASSERT_OK(const BuildLog nothing, load("", ""));
  EXPECT_TRUE(nothing.entries.empty());
  ASSERT_OK(const BuildLog header, load(""));
  EXPECT_TRUE(header.entries.empty());
}

TEST_F(BuildLogFile, a_later_line_replaces_an_earlier_one) {
  ASSERT_OK(const BuildLog log,
            load("1\t2\t3\ta b\tff\n4\t5\t6\tc\t10\n7\t8\t1700000000123456789\ta b\tfedcba9876543210\n"));
  EXPECT_EQ(log.entries.size(), 2U);
  EXPECT_EQ(log.entries.at("a b"), (LogEntry{7, 8, 1'700'000'000'123'456'789, 0xfedcba9876543210}));
  EXPECT_EQ(log.entries.at("c"), (LogEntry{4, 5, 6, 0x10}));
}

TEST_F(BuildLogFile, a_torn_last_line_is_dropped) {
  ASSERT_OK(const BuildLog log, load("1\t2\t3\ta\tff\n1\t2\t4\ta\tf"));
  EXPECT_EQ(log.entries.at("a").mtime_ns, 3);
}

TEST_F(BuildLogFile, a_line_that_makes_no_sense_takes_back_what_was_known_of_its_output) {
  ASSERT_OK(const BuildLog log, load("1\t2\t3\ta\tff\n1\t2\t3\tb\tff\n1\t2\t3\tc\tff\n"
                                     "no tabs\n1\t2\t3\n1\t2\t3\ta\tf1\t2\t3\tx\tff\nq\t2\t3\tb\tff\n"));
  EXPECT_EQ(log.entries.size(), 1U);
  EXPECT_TRUE(log.entries.contains("c"));
}

TEST_F(BuildLogFile, another_version_is_named) {
  for (const auto& [header, version] :
       std::vector<std::pair<std::string, std::string>>{{"# ninja log v4\n", "4"},
                                                        {"# ninja log v6\n", "6"},
                                                        {"# ninja log v55\n", "55"},
                                                        {"# ninja", "?"}}) {
    const Result<BuildLog> log = load("1\t2\t3\ta\tff\n", header);
    ASSERT_FALSE(log.has_value()) << header;
    EXPECT_EQ(log.error().kind, ErrorKind::environment);
    EXPECT_THAT(log.error().what, testing::HasSubstr(".ninja_log is of version " + version));
  }
}

TEST_F(BuildLogFile, is_written_as_ninja_writes_it) {
  BuildLog log;
  log.entries["z"] = {1, 2, 3, 0xAB};
  log.entries["a b"] = {-1, 0, -5, ~0ULL};
  log.entries["tab\there"] = {};
  ASSERT_GOOD(save(log, folder_.path()));
  EXPECT_EQ(tests::read(folder_.path() / ".ninja_log"),
            "# ninja log v5\n-1\t0\t-5\ta b\tffffffffffffffff\n1\t2\t3\tz\tab\n");
  ASSERT_OK(const BuildLog again, load_build_log(folder_.path()));
  log.entries.erase("tab\there");
  EXPECT_EQ(again.entries, log.entries);
  EXPECT_ERROR(ErrorKind::environment, save(log, folder_.path() / "nowhere"));
}

}  // namespace
}  // namespace sb::ninja
