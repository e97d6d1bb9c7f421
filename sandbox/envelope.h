// What a sandboxed run may use, what the host really enforced, and what was used.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sb::sandbox {

// Limits of one run. Nothing set means: no limit of that kind.
struct Envelope {
  std::optional<std::uint64_t> memory_bytes{};      // of all processes together
  std::optional<std::uint64_t> processes{};         // at once
  std::optional<std::chrono::milliseconds> wall{};  // from start to end
  std::optional<std::chrono::seconds> cpu{};  // per process (RLIMIT_CPU), and in all where a cgroup counts it
  std::optional<std::uint64_t> output_bytes{};  // of standard output and error
  std::optional<std::uint64_t> file_bytes{};    // size of one file
  std::optional<std::uint64_t> open_files{};    // per process
};

enum class Level { enforced, advisory, unavailable };

// One line of the honest account: which limit, by which mechanism, how strictly.
struct Enforcement {
  std::string resource;  // "memory", "processes", "wall time", "cpu time", "output", "file size", "open
                         // files", "process tree"
  Level level = Level::unavailable;
  std::string mechanism;  // "cgroup v1 memory.limit_in_bytes", "RLIMIT_AS per process", …
  std::string value;      // as read back, for people: "2.0 GiB"
};
using Grant = std::vector<Enforcement>;

// "memory 2.0 GiB (cgroup v1) · processes 512 (cgroup v1) · … ; advisory: …": one line.
[[nodiscard]] std::string to_line(const Grant& grant);

enum class LimitHit { none, memory, processes, wall, cpu, output };
[[nodiscard]] std::string to_string(LimitHit hit);

struct Usage {
  std::chrono::milliseconds wall{0};
  std::chrono::milliseconds cpu{0};     // user and system, of all reaped processes
  std::uint64_t peak_memory_bytes = 0;  // cgroup peak where there is one, else the largest process
  std::uint64_t output_bytes = 0;
  int survivors_killed = 0;  // processes that outlived the command and were killed
};

}  // namespace sb::sandbox
