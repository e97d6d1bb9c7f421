// promote, rollback, and what history keeps of them.
#include <csignal>
#include <functional>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/unique_fd.h"
#include "history/history.h"
#include "os/clock.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb {
namespace {

using testing::HasSubstr;
using tests::Finished;

class Versions : public testing::Test {
 protected:
  void SetUp() override {
    host_.make_tiny_project();
    ASSERT_EQ(host_.selfbuild({"update"}).code, 0);
    const auto patch = host_.patch("tiny.sh", "edition 1", "edition 2");
    ASSERT_EQ(host_.selfbuild({"update", "--patch", patch.string()}).code, 0);
    ASSERT_EQ(host_.live("tiny"), "v2");
  }
  history::Step last_step(std::int64_t cycle) {
    const auto last = past().last_record(cycle);
    return last && *last ? (*last)->step : history::Step::planned;
  }
  history::History& past() {
    if (!past_) past_.emplace(history::History::open(host_.home().database(), clock_).value());
    return *past_;
  }
  tests::Installation host_;
  os::SystemClock clock_;
  std::optional<history::History> past_;
};

TEST_F(Versions, rollback_goes_to_the_version_before_and_promote_forward_again) {
  const Finished back = host_.selfbuild({"rollback"});
  EXPECT_EQ(back.code, 0) << back.all();
  EXPECT_EQ(host_.live("tiny"), "v1");
  const Finished forward = host_.selfbuild({"promote", "v2"});
  EXPECT_EQ(forward.code, 0) << forward.all();
  EXPECT_EQ(host_.live("tiny"), "v2");
}

TEST_F(Versions, promoting_what_is_live_changes_nothing) {
  const Finished again = host_.selfbuild({"promote", "v2"});
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.out, HasSubstr("v2 is live already"));
}

TEST_F(Versions, an_unknown_version_names_the_newest) {
  const Finished unknown = host_.selfbuild({"rollback", "v9"});
  EXPECT_EQ(unknown.code, 1) << unknown.all();
  EXPECT_THAT(unknown.err, HasSubstr("v2"));
}

TEST_F(Versions, rollback_repairs_a_damaged_version_folder_from_the_store) {
  tests::write(host_.home().version("tiny", 1) / "bin/tiny", "damaged");
  const Finished back = host_.selfbuild({"rollback", "v1"});
  EXPECT_EQ(back.code, 0) << back.all();
  EXPECT_THAT(tests::read(host_.home().pointer("tiny") / "bin/tiny"), HasSubstr("edition 1"));
}

TEST_F(Versions, an_update_waits_for_another_swap_and_a_rollback_goes_to_what_it_replaced) {
  // The conductor stands still at the beginning of the swap to v1 until the update is ready to hand over:
  // what is left of the swap takes longer than to ask for the next.
  ASSERT_EQ(host_.selfbuild({"conductor", "stop", "--services"}).code, 0);
  const auto mark = host_.scratch() / "stopped";
  host_.environment["SELFBUILD_CRASH_IN"] = "conductor";
  host_.environment["SELFBUILD_CRASH_AFTER"] = "swapping";
  host_.environment["SELFBUILD_CRASH_HOW"] = "stop";
  host_.environment["SELFBUILD_CRASH_ONCE"] = mark.string();
  const auto patch = host_.patch("tiny.sh", "edition 1", "edition 3");
  const Finished queued = host_.selfbuild({"update", "--detach", "--patch", patch.string()});
  ASSERT_EQ(queued.out, "c-3\n") << queued.all();
  tests::Background promote = host_.selfbuild_in_background({"promote", "v1"});
  tests::wait_until([&] { return tests::read(mark).ends_with('\n'); });
  const pid_t conductor = std::stoi(tests::read(mark));
  const std::string stat = fmt::format("/proc/{}/stat", conductor);
  tests::wait_until([&] { return tests::read(stat).find(") T ") != std::string::npos; });
  tests::wait_until([&] { return last_step(3) == history::Step::probed; });
  ASSERT_EQ(::kill(conductor, SIGCONT), 0);
  EXPECT_EQ(promote.wait().code, 0);

  tests::wait_until([&] { return last_step(3) == history::Step::done; });
  EXPECT_EQ(past().cycle(3)->status, history::BuildStatus::completed) << past().cycle(3)->failure;
  EXPECT_EQ(host_.live("tiny"), "v3");
  EXPECT_THAT(tests::read(host_.home().cycle(3) / "progress.jsonl"), HasSubstr("waiting until c-4"));
  EXPECT_EQ(past().cycle(3)->from_version, 1) << "v2 was live when it was asked for, v1 when it was swapped";
  EXPECT_EQ(host_.selfbuild({"rollback"}).code, 0);
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Versions, taken_from_history_by_a_worker_that_dies_are_put_into_service_by_the_next) {
  ASSERT_EQ(host_.selfbuild({"conductor", "stop", "--services"}).code, 0);
  const auto mark = host_.scratch() / "died";
  host_.environment["SELFBUILD_CRASH_IN"] = "selfbuild";
  host_.environment["SELFBUILD_CRASH_AFTER"] = "built";
  host_.environment["SELFBUILD_CRASH_ONCE"] = mark.string();
  const Finished update = host_.selfbuild({"update"});  // HEAD is v1, and v2 is live
  EXPECT_TRUE(std::filesystem::exists(mark)) << "nothing died: this run tested nothing";
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_THAT(update.out, HasSubstr("taken from history"));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Versions, gc_stands_back_while_a_version_is_about_to_be_put_into_service) {
  const UniqueFd lock(::open((host_.home().state() / "gc.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_SH), 0);
  const Finished gc = host_.selfbuild({"gc", "--keep", "1"});
  EXPECT_EQ(gc.code, 5) << gc.all();
  EXPECT_THAT(gc.err, HasSubstr("nothing was removed"));
  ASSERT_EQ(::flock(lock.get(), LOCK_UN), 0);
  EXPECT_EQ(host_.selfbuild({"gc", "--keep", "1"}).code, 0);
}

TEST_F(Versions, promote_waits_for_gc_and_looks_again_at_what_is_left) {
  UniqueFd lock(::open((host_.home().state() / "gc.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  struct stat info{};
  ASSERT_EQ(::fstat(lock.get(), &info), 0);
  tests::Background promote = host_.selfbuild_in_background({"promote", "v1"});
  tests::wait_until([&] {
    std::istringstream locks(tests::read("/proc/locks"));
    for (std::string line; std::getline(locks, line);) {
      const bool waits = line.find("-> FLOCK") != std::string::npos;
      if (waits && line.find(fmt::format(":{} ", info.st_ino)) != std::string::npos) return true;
    }
    return false;
  });
  ASSERT_GOOD(past().drop_outputs("tiny", 1));
  lock.reset();
  const Finished finished = promote.wait();
  EXPECT_EQ(finished.code, 1) << finished.all();
  EXPECT_THAT(finished.err, HasSubstr("the files of v1 were removed by gc"));
  EXPECT_EQ(host_.live("tiny"), "v2");
}

TEST_F(Versions, history_shows_every_attempt_newest_first) {
  const auto broken = host_.patch("tiny.sh", "exec sleep", "if exec sleep");
  ASSERT_EQ(host_.selfbuild({"update", "--patch", broken.string()}).code, 1);
  const Finished history = host_.selfbuild({"history", "--json"});
  ASSERT_OK(const Json value, parse_json(history.out));
  const Json& cycles = value.at("cycles");
  ASSERT_EQ(cycles.size(), 3U);
  EXPECT_EQ(cycles[0].at("status"), "failed");
  EXPECT_THAT(cycles[0].dump(), HasSubstr("script_parses"));
  EXPECT_EQ(cycles[2].at("status"), "completed");
}

}  // namespace
}  // namespace sb
