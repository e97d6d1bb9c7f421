// Supervisor: all services of the conductor, and who gets which notification.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "supervise/service.h"

namespace sb::supervise {

class Supervisor {
 public:
  explicit Supervisor(Surroundings& around) : around_(around) {}

  // Reads what was supervised before and adopts what still runs. Starts nothing: a swap that was interrupted
  // has to be looked at first.
  [[nodiscard]] Status recover();
  // Starts what is wanted and does not run.
  void resume();

  // The service of this name; makes it from the deployment when there is none. Starts nothing.
  [[nodiscard]] Result<Service*> ensure(const Deployment& deployment, bool wanted);
  [[nodiscard]] Service* find(const std::string& name);
  [[nodiscard]] Result<Service*> get(const std::string& name);  // not_found names the ones there are
  void remove(const std::string& name);                         // a stopped one
  [[nodiscard]] std::vector<Service*> of_project(const std::string& project);
  [[nodiscard]] std::vector<ServiceStatus> status() const;
  // Drains all that run, at once; calls when all have gone.
  void stop_all(std::function<void()> gone);

  // One datagram of the notification socket, and what came with it: from a service's main process, or from
  // one of its session.
  void notify(pid_t sender, const Notification& notification, std::vector<UniqueFd> fds = {});
  void cap_logs();

 private:
  [[nodiscard]] std::size_t room_to_park() const;

  Surroundings& around_;
  std::map<std::string, std::unique_ptr<Service>> services_;
  std::vector<std::unique_ptr<Service>> buried_;
  os::Watch funeral_;
};

}  // namespace sb::supervise
