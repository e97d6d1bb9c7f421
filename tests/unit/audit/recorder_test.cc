// The thread that writes: all of it arrives, whatever the disk does meanwhile.
#include "audit/recorder.h"

#include <fstream>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include "os/file_system.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::audit {
namespace {

constexpr os::Milliseconds kLong{60'000};

class RecorderTest : public testing::Test {
 protected:
  std::unique_ptr<Recorder> open() {
    std::promise<std::vector<Event>> seen;
    auto recorder = std::make_unique<Recorder>(
        path(), 5, [this](const std::string& text) { said_ += text; },
        [&](const Result<std::vector<Event>>& events) {
          EXPECT_TRUE(events);
          seen.set_value(events.value_or(std::vector<Event>()));
        });
    seen_ = seen.get_future().get();
    return recorder;
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "audit.db"; }
  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::vector<Event> seen_;
  std::string said_;
};

Event event(std::int64_t id) {
  return {.id = id, .at_ms = 1, .kind = "service", .data = "{}"};
}

TEST_F(RecorderTest, has_written_all_when_it_ends) {
  {
    const auto recorder = open();
    for (int i = 1; i <= 500; ++i) {
      recorder->record(event(i));
      recorder->record(Entry{.at_ms = i, .via = "rpc", .act = "a", .subject = "", .outcome = "ok"});
    }
  }
  const auto again = open();
  EXPECT_EQ(seen_.size(), 500U);
  ASSERT_OK(sqlite::Database database, open_audit_database(path()));
  ASSERT_OK(const Verdict verdict, AuditLog(database).verify());
  EXPECT_EQ(verdict.last, 500);
  EXPECT_FALSE(verdict.bad.has_value());
}

TEST_F(RecorderTest, keeps_the_newest_events) {
  const auto recorder = open();
  for (int i = 1; i <= 2 * EventLog::kKept; ++i) {
    recorder->record(event(i));
    if (i % 500 == 0) {
      ASSERT_TRUE(recorder->flush(kLong));
    }
  }
  ASSERT_OK(sqlite::Database database, open_audit_database(path()));
  ASSERT_OK(const std::vector<Event> kept, EventLog(database).all());
  EXPECT_EQ(static_cast<std::int64_t>(kept.size()), EventLog::kKept);
  EXPECT_EQ(kept.back().id, 2 * EventLog::kKept);
}

TEST_F(RecorderTest, makes_nobody_wait_while_another_holds_the_database_and_writes_it_all_then) {
  const auto recorder = open();
  ASSERT_OK(sqlite::Database other, open_audit_database(path()));
  ASSERT_GOOD(other.transaction([&]() -> Status {
    for (int i = 1; i <= 10; ++i) recorder->record(event(i));
    EXPECT_FALSE(recorder->flush(os::Milliseconds(0)));
    return {};
  }));
  EXPECT_TRUE(recorder->flush(kLong));
  ASSERT_OK(const std::vector<Event> kept, EventLog(other).all());
  EXPECT_EQ(kept.size(), 10U);
}

TEST_F(RecorderTest, says_when_what_was_recorded_is_written_whatever_comes_after_it) {
  const auto recorder = open();
  ASSERT_OK(sqlite::Database other, open_audit_database(path()));
  std::promise<void> first;
  std::future<void> written = first.get_future();
  ASSERT_GOOD(other.transaction([&]() -> Status {
    recorder->record(event(1));
    recorder->when_written([&] { first.set_value(); });
    recorder->record(event(2));
    EXPECT_NE(written.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    return {};
  }));
  written.get();
  EXPECT_TRUE(recorder->flush(kLong));
  std::promise<void> again;
  recorder->when_written([&] { again.set_value(); });
  again.get_future().get();
}

TEST_F(RecorderTest, goes_on_without_its_database_and_writes_all_when_it_can_be_opened) {
  std::filesystem::create_directory(path());
  Result<std::vector<Event>> seen;
  std::promise<void> opened;
  Recorder recorder(
      path(), 5, [](const std::string&) {},
      [&](const Result<std::vector<Event>>& events) {
        seen = events;
        opened.set_value();
      });
  opened.get_future().get();
  EXPECT_FALSE(seen);
  recorder.record(event(1));
  EXPECT_FALSE(recorder.flush(os::Milliseconds(0)));
  std::filesystem::remove(path());
  EXPECT_TRUE(recorder.flush(kLong));
}

TEST_F(RecorderTest, begins_anew_beside_a_damaged_database) {
  std::ofstream(path()) << std::string(8192, 'x');
  const auto recorder = open();
  recorder->record(event(1));
  EXPECT_TRUE(recorder->flush(kLong));
  EXPECT_TRUE(std::filesystem::exists(path().string() + ".damaged-5"));
  EXPECT_NE(said_.find("put aside"), std::string::npos);
}

}  // namespace
}  // namespace sb::audit
