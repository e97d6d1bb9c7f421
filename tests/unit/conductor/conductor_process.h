// A real `conductor run` in a home of its own, and what tests do with it. Waits for READY=1 and for answers,
// never for time.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "os/home.h"
#include "os/process.h"
#include "rpc/client.h"
#include "supervise/service_spec.h"

namespace sb::tests {

class ConductorProcess {
 public:
  ConductorProcess();
  ~ConductorProcess();  // stops it with its services
  ConductorProcess(const ConductorProcess&) = delete;
  ConductorProcess& operator=(const ConductorProcess&) = delete;

  void start(const std::map<std::string, std::string>& environment = {}, const std::string& command = "run");
  void stop(bool services);
  // kill -9 of the conductor itself, not of its keeper; returns when the next one answers.
  void kill_and_wait();
  // Until the conductor has come up `times` more often.
  void wait_until_ready(int times = 1);
  [[nodiscard]] bool runs() const { return running_; }
  [[nodiscard]] const os::Process& process() const { return process_; }  // the keeper
  os::Exit wait_for_exit();

  // A call on a connection of its own; aborts the test program when nobody answers within a minute.
  Result<Json> try_call(const std::string& method, const Json& params = Json::object());
  Json call(const std::string& method, const Json& params = Json::object());
  [[nodiscard]] rpc::Client connect();
  Json service(const std::string& name);
  // Until the running swap has recorded this step; false when it ended without.
  [[nodiscard]] bool reaches(const std::string& step);

  [[nodiscard]] const os::Home& home() const { return home_; }
  [[nodiscard]] history::History history() const;
  [[nodiscard]] std::vector<std::string> steps(std::int64_t cycle) const;
  [[nodiscard]] std::string log() const;

 private:
  os::TemporaryFolder folder_;
  os::Home home_;
  os::SystemClock clock_;
  UniqueFd notifications_;
  os::Process process_;
  bool running_ = false;
};

// What GET path answers on 127.0.0.1:port or "unix:…", or "" when it did not.
std::string http_get(const std::string& address, const std::string& path = "/");
// Until the process has gone.
void wait_for_end(pid_t pid);

}  // namespace sb::tests
