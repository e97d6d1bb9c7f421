// Surroundings: what supervision needs from the world, by reference, so that tests can put their own in its
// place.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "os/event_loop.h"
#include "os/home.h"
#include "supervise/health_probe.h"
#include "supervise/process_runner.h"
#include "supervise/safe_mode.h"
#include "supervise/service_table.h"

namespace sb::supervise {

// Keeps duplicates of listening sockets where they survive the conductor (the keeper, or nowhere).
class SocketVault {
 public:
  virtual ~SocketVault() = default;
  virtual void put(const std::string& name, int fd) = 0;
  virtual void drop(const std::string& name) = 0;
  [[nodiscard]] virtual UniqueFd take(const std::string& name) = 0;  // none when it is not there
};

class NoVault final : public SocketVault {
 public:
  void put(const std::string&, int) override {}
  void drop(const std::string&) override {}
  [[nodiscard]] UniqueFd take(const std::string&) override { return {}; }
};

struct Surroundings {
  os::Timers& timers;
  ProcessRunner& processes;
  HealthProbe& probe;
  SocketVault& vault;
  SafeMode& safe_mode;
  ServiceTable& table;
  const os::Home& home;
  std::string notify_socket;             // what services get as NOTIFY_SOCKET
  std::vector<std::string> environment;  // added to every service's: SELFBUILD_SOCKET, SELFBUILD_HOME, XDG_*
  std::function<void(const std::string&)> log;
  std::function<double()> random;  // from 0 to 1, for jitter
  std::function<std::vector<KnownVersion>(const std::string& project)> versions;
  bool steers = true;  // sockets that can be steered (steering.h) are
};

}  // namespace sb::supervise
