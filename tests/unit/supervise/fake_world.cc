#include "unit/supervise/fake_world.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "supervise/address.h"
#include "support/files.h"

namespace sb::tests {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::cerr << format_error(result.error());
    std::abort();
  }
  return std::move(*result);
}

}  // namespace

void FakeProcesses::end(pid_t pid, os::Exit exit) {
  alive.erase(pid);
  const auto found = watchers_.find(pid);
  if (found == watchers_.end()) return;
  const auto callback = found->second;
  watchers_.erase(found);
  callback(exit);
}

std::vector<pid_t> FakeProcesses::alive_in(const std::filesystem::path& directory) const {
  std::vector<pid_t> found;
  for (const auto& [pid, spec] : alive) {
    if (spec.directory == directory) found.push_back(pid);
  }
  return found;
}

Result<os::Process> FakeProcesses::start(const os::SpawnSpec& spec) {
  if (fails && fails(spec)) return fail(ErrorKind::environment, "cannot start " + spec.argv.front());
  const pid_t pid = next_++;
  started.push_back({.pid = pid, .spec = spec});
  alive[pid] = spec;
  return os::Process{.pid = pid, .start_ticks = static_cast<std::uint64_t>(pid), .pidfd = {}};
}

std::optional<os::Process> FakeProcesses::adopt(pid_t pid, std::uint64_t start_ticks) {
  if (!alive.contains(pid) || start_ticks != static_cast<std::uint64_t>(pid)) return std::nullopt;
  return os::Process{.pid = pid, .start_ticks = start_ticks, .pidfd = {}};
}

std::optional<os::Process> FakeProcesses::find_marked(const std::vector<std::string>& variables) {
  for (const auto& [pid, spec] : alive) {
    const auto has = [&spec](const std::string& variable) {
      return std::ranges::find(spec.environment, variable) != spec.environment.end();
    };
    if (std::ranges::all_of(variables, has)) {
      return adopt(pid, static_cast<std::uint64_t>(pid));
    }
  }
  return std::nullopt;
}

std::optional<os::Process> FakeProcesses::find(pid_t pid, const std::vector<std::string>& variables) {
  const auto found = alive.find(pid);
  if (found == alive.end()) return std::nullopt;
  const std::vector<std::string>& environment = found->second.environment;
  const auto has = [&](const std::string& one) {
    return std::ranges::find(environment, one) != environment.end();
  };
  if (!std::ranges::all_of(variables, has)) return std::nullopt;
  return adopt(pid, static_cast<std::uint64_t>(pid));
}

pid_t FakeProcesses::fork(pid_t parent) {
  const pid_t pid = next_++;
  alive[pid] = alive.at(parent);
  return pid;
}

os::Watch FakeProcesses::on_exit(const os::Process& process, std::function<void(os::Exit)> callback) {
  const pid_t pid = process.pid;
  watchers_[pid] = std::move(callback);
  return os::Watch([this, pid] { watchers_.erase(pid); });
}

void FakeProcesses::signal(const os::Process& process, int signal, bool) {
  const pid_t pid = process.pid;
  signals.emplace_back(pid, signal);
  if (signal == SIGTERM && stubborn.contains(pid)) return;
  pending_.push_back(std::make_unique<os::Watch>(timers_.after(os::Milliseconds(0), [this, pid, signal] {
    if (!alive.contains(pid)) return;
    end(pid, signal == SIGTERM ? os::Exit{.known = true, .code = 0, .signal = 0}
                               : os::Exit{.known = true, .code = 0, .signal = signal});
  })));
}

void FakeProbe::ask(const supervise::ProbeSpec& spec, const std::vector<supervise::BoundAddress>&,
                    const std::filesystem::path& directory,
                    std::function<void(const supervise::Timed&)> answer) {
  ++asked;
  asked_paths_.insert(spec.path);
  pending_.push_back(std::make_unique<os::Watch>(
      timers_.after(os::Milliseconds(0), [this, directory, path = spec.path, answer = std::move(answer)] {
        if (cannot_ask) return answer({.status = fail(ErrorKind::environment, "cannot start a thread")});
        const bool bad = sick.contains(directory) || sick_paths.contains(path);
        const auto slow = slowness.find(directory);
        answer(
            {.status = bad ? Status(fail(ErrorKind::unhealthy, "GET " + path + " answered 503")) : Status(),
             .took = slow == slowness.end() ? std::chrono::microseconds(1'000) : slow->second});
      })));
}

void FakeVault::put(const std::string& name, int fd) {
  held[name] = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

UniqueFd FakeVault::take(const std::string& name) {
  const auto found = held.find(name);
  if (found == held.end()) return {};
  UniqueFd fd = std::move(found->second);
  held.erase(found);
  return fd;
}

FakeWorld::FakeWorld(bool steered)
    : root(temporary_folder()), home(must(os::Home::at(root.path()))), steers(steered) {
  open();
}

void FakeWorld::open() {
  database = std::make_unique<sqlite::Database>(must(sqlite::Database::open(home.database())));
  table = std::make_unique<supervise::ServiceTable>(must(supervise::ServiceTable::open(*database)));
  around = std::make_unique<supervise::Surroundings>(
      supervise::Surroundings{.timers = timers,
                              .processes = processes,
                              .probe = probe,
                              .vault = vault,
                              .safe_mode = safe_mode,
                              .table = *table,
                              .home = home,
                              .notify_socket = "/run/notify.sock",
                              .environment = {"SELFBUILD_SOCKET=/run/conductor.sock"},
                              .log = [this](const std::string& text) { log += text + "\n"; },
                              .random = [this] { return random; },
                              .versions = [this](const std::string&) { return versions; },
                              .steers = steers});
  supervisor = std::make_unique<supervise::Supervisor>(*around);
}

void FakeWorld::restart(bool keep_vault) {
  supervisor.reset();
  around.reset();
  table.reset();
  database.reset();
  processes.forget_watchers();
  safe_mode.cases.clear();
  if (!keep_vault) vault.held.clear();
  open();
  const Status recovered = supervisor->recover();
  if (!recovered) std::cerr << format_error(recovered.error());
}

void FakeWorld::ready(pid_t pid) {
  supervise::Notification notification;
  notification.ready = true;
  supervisor->notify(pid, notification);
  settle();
}

supervise::Deployment FakeWorld::deployment(int version, const std::string& service) const {
  supervise::Deployment deployment;
  deployment.project = "p";
  deployment.version = version;
  deployment.directory = folder(version);
  std::filesystem::create_directories(deployment.directory);
  deployment.spec.name = service;
  deployment.spec.command = {"bin/" + service};
  deployment.spec.sockets = {{.name = "http", .listen = "127.0.0.1:0"}};
  deployment.spec.ready.kind = supervise::ProbeSpec::Kind::notify;
  deployment.spec.health.kind = supervise::ProbeSpec::Kind::http;
  deployment.spec.health.address = "http";
  deployment.spec.health.path = "/health";
  return deployment;
}

supervise::ServiceStatus FakeWorld::status(const std::string& service) {
  return supervisor->find(service)->status();
}

UniqueFd FakeWorld::connect() {
  const auto where = supervise::socket_address(supervise::parse_address(status().sockets.at(0)).value());
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(where && ::connect(client.get(), where->get(), where->size) == 0);
  return client;
}

bool FakeWorld::accepts(pid_t pid) const {
  const int socket = processes.alive.at(pid).sockets.at(0);
  return UniqueFd(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC)).get() >= 0;
}

}  // namespace sb::tests
