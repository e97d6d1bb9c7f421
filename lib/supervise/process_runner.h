// ProcessRunner: the seam between supervision and the kernel's processes. Death is told by pidfd on the event
// loop, never found out by polling.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/event_loop.h"
#include "os/process.h"
#include "os/tcp_connections.h"

namespace sb::supervise {

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  [[nodiscard]] virtual Result<os::Process> start(const os::SpawnSpec& spec) = 0;
  [[nodiscard]] virtual std::optional<os::Process> adopt(pid_t pid, std::uint64_t start_ticks) = 0;
  // A running process whose environment has all of these variables ("NAME=value"): one that was started just
  // before a crash could record its pid.
  [[nodiscard]] virtual std::optional<os::Process> find_marked(const std::vector<std::string>& variables) = 0;
  // The process of this pid, when its environment has all of these.
  [[nodiscard]] virtual std::optional<os::Process> find(pid_t pid,
                                                        const std::vector<std::string>& variables) = 0;
  // Kills what a process that ended unseen left in its group: those that have all of these variables, since
  // the number may be somebody else's by now.
  virtual void kill_rest(pid_t group, const std::vector<std::string>& variables) = 0;
  // Calls once when the process has ended; what is left of its process group is killed before that.
  [[nodiscard]] virtual os::Watch on_exit(const os::Process& process,
                                          std::function<void(os::Exit)> callback) = 0;
  // The same, but its group lives on.
  [[nodiscard]] virtual os::Watch on_end_alone(const os::Process& process,
                                               std::function<void(os::Exit)> callback) = 0;
  virtual void signal(const os::Process& process, int signal, bool whole_group) = 0;
  // See os/process.h.
  [[nodiscard]] virtual std::uint64_t resident_bytes(const os::Process& process) = 0;
  // How many of its clients wait for an answer, see os/tcp_connections.h.
  [[nodiscard]] virtual int unanswered(const os::Process& process, std::span<const std::uint16_t> ports) = 0;
  // Whether it has answered one of them within that time, the same.
  [[nodiscard]] virtual bool answers(const os::Process& process, std::span<const std::uint16_t> ports,
                                     os::Milliseconds within) = 0;
  // Calls as long as a process under this listener (os/bind_filter.h) waits for an answer, or none is left.
  [[nodiscard]] virtual os::Watch on_bind_calls(int listener, std::function<void()> callback) = 0;
};

class RealProcessRunner final : public ProcessRunner {
 public:
  explicit RealProcessRunner(os::EventLoop& loop) : loop_(loop) {}
  [[nodiscard]] Result<os::Process> start(const os::SpawnSpec& spec) override { return os::spawn(spec); }
  [[nodiscard]] std::optional<os::Process> adopt(pid_t pid, std::uint64_t start_ticks) override {
    return os::adopt(pid, start_ticks);
  }
  [[nodiscard]] std::optional<os::Process> find_marked(const std::vector<std::string>& variables) override;
  [[nodiscard]] std::optional<os::Process> find(pid_t pid,
                                                const std::vector<std::string>& variables) override;
  void kill_rest(pid_t group, const std::vector<std::string>& variables) override;
  [[nodiscard]] os::Watch on_exit(const os::Process& process,
                                  std::function<void(os::Exit)> callback) override;
  [[nodiscard]] os::Watch on_end_alone(const os::Process& process,
                                       std::function<void(os::Exit)> callback) override;
  void signal(const os::Process& process, int signal, bool whole_group) override {
    os::send_signal(process, signal, whole_group);
  }
  [[nodiscard]] std::uint64_t resident_bytes(const os::Process& process) override {
    return os::resident_bytes(process.pid);
  }
  [[nodiscard]] int unanswered(const os::Process& process, std::span<const std::uint16_t> ports) override {
    return os::unanswered_connections(process.pid, ports);
  }
  [[nodiscard]] bool answers(const os::Process& process, std::span<const std::uint16_t> ports,
                             os::Milliseconds within) override {
    return os::answers_connections(process.pid, ports, within);
  }
  [[nodiscard]] os::Watch on_bind_calls(int listener, std::function<void()> callback) override {
    return loop_.on_readable(listener, std::move(callback));
  }

 private:
  [[nodiscard]] os::Watch on_end(const os::Process& process, bool with_group,
                                 std::function<void(os::Exit)> callback);
  os::EventLoop& loop_;
};

// The session that a process belongs to (field 6 of /proc/PID/stat), or -1 when it has gone.
[[nodiscard]] pid_t session_of(pid_t pid);

}  // namespace sb::supervise
