// Builds that are killed at any moment, that run into a full disk, or that any one write fails of, harm
// nothing: the next one is right, and every byte in the pool is what its name says.
#include <csignal>
#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "artifacts/output_pool.h"
#include "base/unique_fd.h"
#include "support/failing_writes.h"
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 50;  // in each of four cases
constexpr int kFullDisks = 12;
constexpr unsigned kSeed = 20'261'120;

class KilledBuilds : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    // Ten edges, without a compiler: the moments are many, and none of them lies inside one.
    std::string text = "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES NONE)\n";
    for (int i = 0; i < 9; ++i)
      text += fmt::format(
          "add_custom_command(OUTPUT out{0} COMMAND cp ${{CMAKE_SOURCE_DIR}}/in{0} out{0} DEPENDS in{0})\n",
          i);
    text +=
        "add_custom_command(OUTPUT sum COMMAND sh ${CMAKE_SOURCE_DIR}/sum.sh DEPENDS sum.sh out0 out1 out2 "
        "out8)\n"
        "add_custom_target(x ALL DEPENDS sum out3 out4 out5 out6 out7)\n";
    write("CMakeLists.txt", text);
    write("sum.sh", "cat out0 out1 out2 out8 > sum\n");
    for (int i = 0; i < 9; ++i) write(fmt::format("in{}", i), fmt::format("{}\n", i));
    request_.options.clear();
  }
  // Three edges run again, seven do not.
  void change(int to) {
    write("in0", fmt::format("{}\n", to));
    write("in1", fmt::format("and {}\n", to));
  }
  static std::string right(int to) { return fmt::format("{}\nand {}\n2\n8\n", to, to); }
  // How many objects of the pool there are; the test fails when one is not what its name says.
  int verified_objects() const {
    int objects = 0;
    for (const auto& entry : fs::recursive_directory_iterator(cache() / "outputs")) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_regular_file() || name.starts_with("incoming.")) continue;
      const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      const Result<artifacts::PooledId> found = artifacts::digest_of_file(fd.get());
      EXPECT_TRUE(found.has_value());
      if (!found) continue;
      const std::string hex = found->digest.hex();
      EXPECT_EQ(entry.path().parent_path().filename().string() + name,
                fmt::format("{}-{}", hex, found->size));
      ++objects;
    }
    return objects;
  }
};

class KilledAtRandom : public KilledBuilds, public testing::WithParamInterface<unsigned> {};

TEST_P(KilledAtRandom, at_any_moment_harms_nothing) {
  ASSERT_GOOD(build());
  change(1);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_GOOD(build());
  auto whole =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  std::mt19937 random(kSeed + GetParam());
  int killed = 0;
  for (int i = 0; i < kKills; ++i) {
    change(i + 2);
    const fs::path stage = lay_out();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::setpgid(0, 0);
      const Result<Built> built = build_in(stage, true);
      ::_exit(built ? 0 : 1);
    }
    // The moment of the blow is what varies; nothing is waited for.
    const std::chrono::microseconds moment(
        std::uniform_int_distribution<std::int64_t>(0, whole.count())(random));
    std::this_thread::sleep_for(moment);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
    // The first measure may be of a busier time: no build takes longer than one that had ended by itself.
    if (!WIFSIGNALED(status)) whole = moment;
    ASSERT_OK(const Built after, build());
    EXPECT_EQ(after.bytes("sum"), right(i + 2));
    EXPECT_GE(after.report.edges_cached, 7) << "what did not change";
    if (HasFailure()) return;
    fs::remove_all(stage);
    fs::remove_all(after.build.parent_path());
  }
  RecordProperty("killed", killed);
  EXPECT_GE(killed, kKills / 2) << "the others had ended before";
  EXPECT_GT(verified_objects(), 2 * kKills);
  build_and_compare();
}

INSTANTIATE_TEST_SUITE_P(Times, KilledAtRandom, testing::Range(0U, 4U));

TEST_F(KilledBuilds, full_disks_cost_time_and_nothing_else) {
  fs::create_directories(cache());
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    GTEST_SKIP() << "only root can mount a small disk here";
  int full = 0;
  for (int i = 0; i < kFullDisks; ++i) {
    const std::string size = fmt::format("size={}k", 8 + 32 * i);
    ASSERT_EQ(::mount("small", cache().c_str(), "tmpfs", 0, size.c_str()), 0);
    change(i);
    ASSERT_OK(const Built small, build_in(lay_out(), true));
    EXPECT_EQ(small.bytes("sum"), right(i)) << size;
    full += small.report.cache_note.empty() ? 0 : 1;
    ASSERT_EQ(::mount(nullptr, cache().c_str(), nullptr, MS_REMOUNT, "size=64m"), 0);
    ASSERT_OK(const Built after, build());
    EXPECT_EQ(after.bytes("sum"), right(i)) << "after " << size;
    EXPECT_GT(verified_objects(), 10);
    ASSERT_EQ(::umount2(cache().c_str(), MNT_DETACH), 0);
    if (HasFailure()) return;
  }
  RecordProperty("full", full);
  EXPECT_GE(full, kFullDisks / 2) << "the disks were too large to tell";
}

struct Fault {
  const char* name;
  int error;
  FailingWrites::Lasts lasts;
  int stride;  // 1: at each write
};

class FailedWrites : public KilledBuilds, public testing::WithParamInterface<Fault> {};

TEST_P(FailedWrites, each_costs_time_and_nothing_else) {
  ASSERT_GOOD(build());
  int failed = 0;
  int refused = 0;
  for (int nth = 1;; nth += GetParam().stride) {
    change(nth);
    const fs::path stage = lay_out();
    std::optional<FailingWrites> writes(std::in_place, folder(), nth, GetParam().error, GetParam().lasts);
    const Result<Built> built = build_in(stage, true);
    const std::string what = fmt::format("write {}: {}", nth, writes->failed());
    const bool all_went_well = writes->failed().empty();
    writes.reset();
    if (all_went_well) break;
    ++failed;
    refused += built ? 0 : 1;
    // It may not be able to do its work, and says why; it may not do it wrongly.
    if (built) {
      EXPECT_EQ(built->bytes("sum"), right(nth)) << what;
    } else {
      EXPECT_THAT(format_error(built.error()), testing::HasSubstr(std::strerror(GetParam().error))) << what;
    }
    const testing::ScopedTrace trace(__FILE__, __LINE__, what);
    ASSERT_OK(const Built after, build());
    EXPECT_EQ(after.bytes("sum"), right(nth)) << what;
    EXPECT_GE(after.report.edges_cached, 7) << what << ": what did not change";
    if (HasFailure()) return;
    fs::remove_all(stage);
    fs::remove_all(after.build.parent_path());
  }
  RecordProperty("failed", failed);
  RecordProperty("refused", refused);
  EXPECT_GT(failed, 100 / GetParam().stride);
  EXPECT_GT(verified_objects(), 2 * failed);
  build_and_compare();
}

INSTANTIATE_TEST_SUITE_P(
    Faults, FailedWrites,
    testing::Values(Fault{"enospc_once", ENOSPC, FailingWrites::Lasts::once, 1},
                    Fault{"eio_once", EIO, FailingWrites::Lasts::once, 1},
                    Fault{"enospc_from_then_on", ENOSPC, FailingWrites::Lasts::from_then_on, 5},
                    Fault{"eio_from_then_on", EIO, FailingWrites::Lasts::from_then_on, 5}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace sb::tests
