// The envelope at work. What a host does not enforce is checked for what it does: each test reads the grant
// first. The abuses are small enough to do no harm where no limit holds at all.
#include "sandbox/limits.h"

#include <poll.h>
#include <unistd.h>

#include "base/text.h"
#include "unit/sandbox/runs.h"

namespace sb::sandbox::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// tail keeps a line of 256 MiB in memory before it can print it.
constexpr const char* kHog = "head -c 268435456 /dev/zero | tail -n 1 > /dev/null";

TEST(SandboxLimits, memory_hog_does_not_get_its_memory) {
  Envelope envelope = bounded();
  envelope.memory_bytes = std::uint64_t{64} << 20U;
  ASSERT_OK(const Outcome outcome, run_to_end(shell(kHog), envelope));
  const Enforcement* memory = find(outcome.report.grant, "memory");
  ASSERT_NE(memory, nullptr);
  EXPECT_FALSE(outcome.report.ok()) << to_line(outcome.report.grant) << "\n" << outcome.output;
  if (memory->level == Level::enforced) {
    EXPECT_EQ(outcome.report.limit, LimitHit::memory) << outcome.report.to_string() << "\n" << outcome.output;
    EXPECT_EQ(outcome.report.to_string(), "over its memory limit of 64.0 MiB");
    EXPECT_LE(outcome.report.usage.peak_memory_bytes, *envelope.memory_bytes);
    EXPECT_GT(outcome.report.usage.peak_memory_bytes, *envelope.memory_bytes / 2);
  } else {
    EXPECT_EQ(memory->level, Level::advisory);
    EXPECT_EQ(memory->mechanism, "RLIMIT_AS per process");
  }
}

TEST(SandboxLimits, memory_counts_in_sum_where_enforced) {
  Envelope envelope = bounded();
  envelope.memory_bytes = std::uint64_t{96} << 20U;
  // Eight times 24 MiB: each tail keeps its own until the level below it, which writes to it, has ended.
  ASSERT_OK(
      const Outcome outcome,
      run_to_end(shell("level() { [ $1 = 0 ] && return\n"
                       "(head -c 25165824 /dev/zero; level $(($1 - 1))) | tail -n 1 >/dev/null; }; level 8"),
                 envelope));
  if (find(outcome.report.grant, "memory")->level == Level::enforced) {
    EXPECT_EQ(outcome.report.limit, LimitHit::memory) << outcome.report.to_string();
  } else {
    EXPECT_EQ(outcome.report.limit, LimitHit::none)
        << outcome.report.to_string();  // each alone is within RLIMIT_AS
  }
}

TEST(SandboxLimits, more_processes_than_granted_do_not_pass) {
  Envelope envelope = bounded();
  envelope.processes = 20;
  ASSERT_OK(const Outcome outcome,
            run_to_end(shell("i=0; while [ $i -lt 60 ]; do sleep 50 & i=$((i+1)); done; wait"), envelope));
  EXPECT_FALSE(outcome.report.ok()) << to_line(outcome.report.grant);
  EXPECT_NE(outcome.report.limit, LimitHit::wall);
  const Enforcement* processes = find(outcome.report.grant, "processes");
  ASSERT_NE(processes, nullptr);
  if (processes->level == Level::enforced || ::geteuid() == 0) {
    EXPECT_EQ(outcome.report.limit, LimitHit::processes) << outcome.report.to_string() << "\n"
                                                         << outcome.output;
  } else {
    // An ordinary user's fork fails by RLIMIT_NPROC or the init counts: whichever comes first.
    EXPECT_EQ(processes->level, Level::advisory);
  }
}

TEST(SandboxLimits, wall_time_ends_a_run) {
  Envelope envelope = bounded();
  envelope.wall = milliseconds(200);
  ASSERT_OK(const Outcome outcome, run_to_end(shell("sleep 1000"), envelope));
  EXPECT_EQ(outcome.report.limit, LimitHit::wall);
  EXPECT_EQ(outcome.report.to_string(), "over its wall time of 200 ms");
  EXPECT_GE(outcome.report.usage.wall, milliseconds(200));
}

TEST(SandboxLimits, wall_time_holds_while_the_caller_does_not_look) {
  Envelope envelope = bounded();
  envelope.wall = milliseconds(50);
  ASSERT_OK(Running running, start(shell("sleep 1000"), envelope));
  // Only the pidfd is watched here, nothing of the run is asked.
  const auto process = os::adopt(running.pid(), os::start_ticks_of(running.pid()).value_or(0));
  if (process) {
    pollfd fd{.fd = process->pidfd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&fd, 1, 60'000), 1) << "the command lives on";
  }
  const auto report = running.wait_for(seconds(60), nullptr);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->limit, LimitHit::wall);
}

TEST(SandboxLimits, cpu_time_of_one_process_is_limited) {
  Envelope envelope = bounded();
  envelope.cpu = seconds(1);
  ASSERT_OK(const Outcome outcome, run_to_end(shell("while :; do :; done"), envelope));
  EXPECT_EQ(outcome.report.limit, LimitHit::cpu) << outcome.report.to_string();
  EXPECT_GE(outcome.report.usage.cpu, milliseconds(500));
}

TEST(SandboxLimits, cpu_time_is_limited_over_forks_where_a_cgroup_counts) {
  Envelope envelope = bounded();
  envelope.cpu = seconds(1);
  envelope.wall = seconds(20);
  const std::string short_work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
  ASSERT_OK(const Outcome outcome,
            run_to_end(shell("n=0; while [ $n -lt 400 ]; do sh -c '" + short_work + "'; n=$((n+1)); done"),
                       envelope));
  const std::string mechanism = find(outcome.report.grant, "cpu time")->mechanism;
  if (mechanism.find("cgroup") != std::string::npos) {
    EXPECT_EQ(outcome.report.limit, LimitHit::cpu) << outcome.report.to_string();
  } else {
    EXPECT_NE(outcome.report.limit, LimitHit::cpu) << mechanism;
  }
}

TEST(SandboxLimits, output_is_cut_and_the_run_ended) {
  Envelope envelope = bounded();
  envelope.output_bytes = 1000;
  ASSERT_OK(const Outcome outcome, run_to_end(shell("yes"), envelope));
  EXPECT_EQ(outcome.report.limit, LimitHit::output);
  EXPECT_EQ(outcome.output.size(), 1000U);
  EXPECT_EQ(outcome.report.usage.output_bytes, 1000U);
}

TEST(SandboxLimits, output_of_exactly_the_limit_is_fine) {
  Envelope envelope = bounded();
  envelope.output_bytes = 5;
  ASSERT_OK(const Outcome outcome, run_to_end(shell("echo 1234"), envelope));
  EXPECT_TRUE(outcome.report.ok()) << outcome.report.to_string();
}

TEST(SandboxLimits, files_and_descriptors_are_limited) {
  const auto folder = sb::tests::temporary_folder();
  Envelope envelope = bounded();
  envelope.file_bytes = 1 << 20;
  envelope.open_files = 17;
  ASSERT_OK(const Outcome outcome, run_to_end(shell("ulimit -n; head -c 3000000 /dev/zero > big; wc -c < big",
                                                    folder.path().string()),
                                              envelope));
  EXPECT_TRUE(outcome.output.starts_with("17\n")) << outcome.output;
  EXPECT_TRUE(outcome.output.ends_with("1048576\n")) << outcome.output;
}

TEST(SandboxSurvey, says_the_same_as_a_run) {
  Envelope envelope = bounded();
  envelope.cpu = seconds(3600);
  const Grant before = survey(envelope);
  ASSERT_OK(const Outcome outcome, run_to_end(shell("exit 0"), envelope));
  EXPECT_EQ(to_line(before), to_line(outcome.report.grant));
  for (const char* resource : {"memory", "processes", "wall time", "cpu time", "output", "process tree"}) {
    EXPECT_NE(find(before, resource), nullptr) << resource << " is not in: " << to_line(before);
  }
  RecordProperty("grant", to_line(before));
}

TEST(SandboxSurvey, leaves_no_group_behind) {
  std::vector<std::string> folders;
  {
    const Limits limits = make_limits(bounded());
    folders = limits.group.folders();
    for (const std::string& folder : folders) EXPECT_TRUE(std::filesystem::exists(folder)) << folder;
  }
  for (const std::string& folder : folders) EXPECT_FALSE(std::filesystem::exists(folder)) << folder;
}

TEST(SandboxSurvey, reads_values_back) {
  Envelope envelope;
  envelope.memory_bytes = (std::uint64_t{64} << 20U) + 1;  // a cgroup counts whole pages
  envelope.processes = 33;
  const Limits limits = make_limits(envelope);
  const Enforcement* memory = find(limits.grant, "memory");
  ASSERT_NE(memory, nullptr);
  if (memory->level == Level::enforced) {
    ASSERT_TRUE(limits.group.memory().has_value());
    EXPECT_EQ(limits.group.memory()->value, std::uint64_t{64} << 20U);
  }
  EXPECT_EQ(find(limits.grant, "processes")->value, "33");
}

TEST(CpuMeter, reads_both_formats) {
  EXPECT_EQ(parse_cpu_meter("123456789\n", 10).count(), 123456789);
  EXPECT_EQ(parse_cpu_meter("usage_usec 42\nuser_usec 7\n", 26).count(), 42000);
  EXPECT_EQ(parse_cpu_meter("", 0).count(), 0);
}

}  // namespace
}  // namespace sb::sandbox::tests
