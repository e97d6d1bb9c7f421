// KeptProcesses: processes as supervision sees them, with the exit codes of adopted ones. Those are children
// of the keeper, which reaps them and tells how they ended a moment after their pidfd did.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "keeper/keeper_link.h"
#include "supervise/process_runner.h"

namespace sb::tool {

class KeptProcesses final : public supervise::ProcessRunner {
 public:
  KeptProcesses(os::EventLoop& loop, keeper::KeeperLink& keeper);

  [[nodiscard]] Result<os::Process> start(const os::SpawnSpec& spec) override { return real_.start(spec); }
  [[nodiscard]] std::optional<os::Process> adopt(pid_t pid, std::uint64_t start_ticks) override {
    return real_.adopt(pid, start_ticks);
  }
  [[nodiscard]] std::optional<os::Process> find_marked(const std::vector<std::string>& variables) override {
    return real_.find_marked(variables);
  }
  [[nodiscard]] std::optional<os::Process> find(pid_t pid,
                                                const std::vector<std::string>& variables) override {
    return real_.find(pid, variables);
  }
  void kill_rest(pid_t group, const std::vector<std::string>& variables) override {
    real_.kill_rest(group, variables);
  }
  [[nodiscard]] os::Watch on_exit(const os::Process& process,
                                  std::function<void(os::Exit)> callback) override;
  [[nodiscard]] os::Watch on_end_alone(const os::Process& process,
                                       std::function<void(os::Exit)> callback) override {
    return real_.on_end_alone(process, std::move(callback));
  }
  void signal(const os::Process& process, int signal, bool whole_group) override {
    real_.signal(process, signal, whole_group);
  }
  [[nodiscard]] std::uint64_t resident_bytes(const os::Process& process) override {
    return real_.resident_bytes(process);
  }
  [[nodiscard]] int unanswered(const os::Process& process, std::span<const std::uint16_t> ports) override {
    return real_.unanswered(process, ports);
  }
  [[nodiscard]] bool answers(const os::Process& process, std::span<const std::uint16_t> ports,
                             os::Milliseconds within) override {
    return real_.answers(process, ports, within);
  }
  [[nodiscard]] os::Watch on_bind_calls(int listener, std::function<void()> callback) override {
    return real_.on_bind_calls(listener, std::move(callback));
  }

 private:
  struct Waiting {
    std::function<void(os::Exit)> callback;
    os::Watch patience;
  };
  void read_exits();
  void deliver(pid_t pid, const os::Exit& exit);

  os::EventLoop& loop_;
  keeper::KeeperLink& keeper_;
  supervise::RealProcessRunner real_;
  os::Watch readable_;
  std::map<pid_t, Waiting> waiting_;  // their pidfd said "ended", the keeper has not said how
  std::map<pid_t, os::Exit> told_;    // the other way round
};

}  // namespace sb::tool
