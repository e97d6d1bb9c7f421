// One fresh control group per run, where the host lets us make one: version 2 with delegated controllers,
// else the version 1 hierarchies. Groups lie below our own, so that whatever limits us limits the run as
// well. A group is never used twice: processes that enter a group after its cgroup.kill die at birth on some
// kernels.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/envelope.h"

namespace sb::sandbox {

class ControlGroup {
 public:
  // Makes what can be made and entered (a child process really enters it) and sets the limits of the
  // envelope.
  [[nodiscard]] static ControlGroup make(const Envelope& envelope);
  ControlGroup() = default;
  ControlGroup(ControlGroup&& other) noexcept;
  ControlGroup& operator=(ControlGroup&& other) noexcept;
  ~ControlGroup();  // kills what is inside and removes the folders

  // A limit as the kernel repeats it.
  struct Applied {
    std::string mechanism;  // "cgroup v1 memory.limit_in_bytes"
    std::uint64_t value;
  };
  [[nodiscard]] const std::optional<Applied>& memory() const { return memory_; }
  [[nodiscard]] const std::optional<Applied>& processes() const { return processes_; }

  // For the init and the command; -1 or empty where there is none.
  [[nodiscard]] std::vector<int> entries() const;                // write "0" to each to enter
  [[nodiscard]] int kill_switch() const { return kill_.get(); }  // write "1" to kill all inside (version 2)
  [[nodiscard]] int cpu_meter() const { return cpu_.get(); }     // cpuacct.usage, or cpu.stat
  [[nodiscard]] const std::vector<std::string>& folders() const { return folders_; }

  // What happened inside so far.
  [[nodiscard]] std::uint64_t oom_kills() const;
  [[nodiscard]] std::uint64_t refused_forks() const;
  [[nodiscard]] std::uint64_t peak_memory() const;
  [[nodiscard]] std::optional<std::chrono::nanoseconds> cpu_time() const;

  void kill_all();  // whoever is inside now; does not wait

 private:
  void add(const std::string& folder);
  void drop_what_cannot_be_entered();
  void set_memory(std::uint64_t bytes);
  void set_processes(std::uint64_t count);
  void open_instruments();
  void remove();

  std::vector<std::string> folders_;
  std::vector<UniqueFd> entries_;  // one per folder
  UniqueFd kill_;
  UniqueFd cpu_;
  std::optional<Applied> memory_;
  std::optional<Applied> processes_;
  std::string memory_folder_;
  std::string processes_folder_;
};

// Removes the folder of an empty group with the empty groups below it: a run inside the run may have left
// some. False, with errno, when the group itself stays. Async-signal-safe.
bool remove_group(const char* folder);

// The number in the text of cpuacct.usage or cpu.stat. Async-signal-safe.
[[nodiscard]] std::chrono::nanoseconds parse_cpu_meter(const char* text, std::size_t size);

}  // namespace sb::sandbox
