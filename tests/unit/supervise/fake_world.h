// A world for supervision in which the test says what happens: time, processes that start and die, answers to
// health checks. The database and the sockets are real. `restart` is what a kill -9 of the conductor leaves
// behind.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "os/home.h"
#include "supervise/supervisor.h"
#include "support/fake_timers.h"

namespace sb::tests {

class FakeProcesses final : public supervise::ProcessRunner {
 public:
  explicit FakeProcesses(os::Timers& timers) : timers_(timers) {}

  struct Started {
    pid_t pid;
    os::SpawnSpec spec;
  };
  std::vector<Started> started;                     // all, oldest first
  std::vector<std::pair<pid_t, int>> signals;       // pid and signal, in order
  std::vector<pid_t> rests_killed;                  // groups
  std::set<pid_t> stubborn;                         // ignore SIGTERM
  std::function<bool(const os::SpawnSpec&)> fails;  // true: cannot be started
  std::map<pid_t, os::SpawnSpec> alive;
  std::map<pid_t, std::uint64_t> resident;
  std::map<pid_t, int> clients_waiting;  // for an answer of this process
  std::set<pid_t> answering;             // their users

  void end(pid_t pid, os::Exit exit = {.known = true, .code = 1, .signal = 0});
  // The conductor has gone: nobody watches any more, the processes run on.
  void forget_watchers() { watchers_.clear(); }
  [[nodiscard]] std::vector<pid_t> alive_in(const std::filesystem::path& directory) const;

  [[nodiscard]] Result<os::Process> start(const os::SpawnSpec& spec) override;
  [[nodiscard]] std::optional<os::Process> adopt(pid_t pid, std::uint64_t start_ticks) override;
  [[nodiscard]] std::optional<os::Process> find_marked(const std::vector<std::string>& variables) override;
  [[nodiscard]] std::optional<os::Process> find(pid_t pid,
                                                const std::vector<std::string>& variables) override;
  void kill_rest(pid_t group, const std::vector<std::string>&) override { rests_killed.push_back(group); }
  [[nodiscard]] os::Watch on_exit(const os::Process& process,
                                  std::function<void(os::Exit)> callback) override;
  [[nodiscard]] os::Watch on_end_alone(const os::Process& process,
                                       std::function<void(os::Exit)> callback) override {
    return on_exit(process, std::move(callback));
  }
  // A process that another one started, with the same environment.
  pid_t fork(pid_t parent);
  void signal(const os::Process& process, int signal, bool whole_group) override;
  [[nodiscard]] std::uint64_t resident_bytes(const os::Process& process) override {
    return resident.contains(process.pid) ? resident.at(process.pid) : 0;
  }
  [[nodiscard]] int unanswered(const os::Process& process, std::span<const std::uint16_t> ports) override {
    return ports.empty() || !clients_waiting.contains(process.pid) ? 0 : clients_waiting.at(process.pid);
  }
  [[nodiscard]] bool answers(const os::Process& process, std::span<const std::uint16_t> ports,
                             os::Milliseconds) override {
    return !ports.empty() && answering.contains(process.pid);
  }
  [[nodiscard]] os::Watch on_bind_calls(int, std::function<void()>) override { return {}; }

 private:
  os::Timers& timers_;
  pid_t next_ = 100'000'001;  // above any pid_max, so that nothing real is meant
  std::map<pid_t, std::function<void(os::Exit)>> watchers_;
  std::vector<std::unique_ptr<os::Watch>> pending_;
};

class FakeProbe final : public supervise::HealthProbe {
 public:
  explicit FakeProbe(os::Timers& timers) : timers_(timers) {}
  std::set<std::filesystem::path> sick;  // version folders whose services say no
  std::set<std::string> sick_paths;      // what says no when it is asked by HTTP
  std::map<std::filesystem::path, std::chrono::microseconds> slowness;  // of version folders; else 1 ms
  bool cannot_ask = false;                                              // the host lacks what it takes
  int asked = 0;
  [[nodiscard]] std::set<std::string> asked_paths() const { return asked_paths_; }
  void ask(const supervise::ProbeSpec& spec, const std::vector<supervise::BoundAddress>& sockets,
           const std::filesystem::path& directory,
           std::function<void(const supervise::Timed&)> answer) override;

 private:
  os::Timers& timers_;
  std::set<std::string> asked_paths_;
  std::vector<std::unique_ptr<os::Watch>> pending_;
};

class FakeVault final : public supervise::SocketVault {
 public:
  std::map<std::string, UniqueFd> held;
  void put(const std::string& name, int fd) override;
  void drop(const std::string& name) override { held.erase(name); }
  [[nodiscard]] UniqueFd take(const std::string& name) override;
};

class FakeSafeMode final : public supervise::SafeMode {
 public:
  struct Case {
    std::vector<int> sockets;
    supervise::Diagnosis diagnosis;
    bool shared = false;
  };
  std::map<std::string, Case> cases;  // by service: who is answered for now
  void begin(const std::string& service, const std::vector<int>& sockets,
             supervise::Diagnosis diagnosis) override {
    cases[service] = Case{.sockets = sockets, .diagnosis = std::move(diagnosis), .shared = false};
  }
  void share(const std::string& service) override { cases.at(service).shared = true; }
  void end(const std::string& service) override { cases.erase(service); }
};

class FakeWorld {
 public:
  // steers: two sockets on each address, see supervise/steering.h; else one that versions share.
  explicit FakeWorld(bool steers = false);

  // Time goes by.
  void pass(int milliseconds) { timers.advance(os::Milliseconds(milliseconds)); }
  void settle() { pass(0); }  // what is due now
  // The conductor dies and comes back; keep_vault: with its keeper.
  void restart(bool keep_vault = true);
  void ready(pid_t pid);  // READY=1

  // A service that says READY=1 and is asked by HTTP: what most tests want.
  [[nodiscard]] supervise::Deployment deployment(int version, const std::string& service = "web") const;
  [[nodiscard]] std::filesystem::path folder(int version) const { return home.version("p", version); }
  [[nodiscard]] pid_t newest() const { return processes.started.back().pid; }
  [[nodiscard]] supervise::ServiceStatus status(const std::string& service = "web");
  // A client of the service's first socket, which waits in a backlog.
  [[nodiscard]] UniqueFd connect();
  // Somebody waits at the socket that this process was given, and is taken from there.
  [[nodiscard]] bool accepts(pid_t pid) const;

  FakeTimers timers;
  os::TemporaryFolder root;
  os::Home home;
  FakeProcesses processes{timers};
  FakeProbe probe{timers};
  FakeVault vault;
  FakeSafeMode safe_mode;
  std::unique_ptr<sqlite::Database> database;
  std::unique_ptr<supervise::ServiceTable> table;
  std::unique_ptr<supervise::Surroundings> around;
  std::unique_ptr<supervise::Supervisor> supervisor;
  std::string log;
  bool steers = false;
  double random = 0;  // 0: no jitter
  std::vector<supervise::KnownVersion> versions;

 private:
  void open();
};

}  // namespace sb::tests
