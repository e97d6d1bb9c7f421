#include "supervise/supervisor.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/suggestion.h"
#include "supervise/service_log.h"

namespace sb::supervise {

Status Supervisor::recover() {
  SB_TRY(const std::vector<ServiceRow> rows, around_.table.services());
  for (const ServiceRow& row : rows) {
    SB_TRY(std::unique_ptr<Service> service, Service::recover(around_, row));
    services_.emplace(row.deployment.spec.name, std::move(service));
  }
  return {};
}

void Supervisor::resume() {
  for (const auto& [name, service] : services_) service->resume();
}

Result<Service*> Supervisor::ensure(const Deployment& deployment, bool wanted) {
  if (Service* known = find(deployment.spec.name)) return known;
  SB_TRY(std::unique_ptr<Service> made, Service::make(around_, deployment, wanted));
  return services_.emplace(deployment.spec.name, std::move(made)).first->second.get();
}

Service* Supervisor::find(const std::string& name) {
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : found->second.get();
}

Result<Service*> Supervisor::get(const std::string& name) {
  if (Service* known = find(name)) return known;
  std::vector<std::string> names;
  names.reserve(services_.size());
  for (const auto& [known, service] : services_) names.push_back(known);
  const std::optional<std::string> meant = nearest(name, names);
  return fail(ErrorKind::not_found,
              meant ? fmt::format(R"(no service is named "{}"; did you mean "{}"?)", name, *meant)
                    : fmt::format("no service is named \"{}\"", name),
              "selfbuild status");
}

void Supervisor::remove(const std::string& name) {
  const auto found = services_.find(name);
  if (found == services_.end()) return;
  found->second->remove();
  // The caller may be one of its callbacks: it goes in a turn of its own.
  buried_.push_back(std::move(found->second));
  services_.erase(found);
  funeral_ = around_.timers.after(os::Milliseconds(0), [this] { buried_.clear(); });
}

std::vector<Service*> Supervisor::of_project(const std::string& project) {
  std::vector<Service*> services;
  for (const auto& [name, service] : services_) {
    if (service->deployment().project == project) services.push_back(service.get());
  }
  return services;
}

std::vector<ServiceStatus> Supervisor::status() const {
  std::vector<ServiceStatus> all;
  all.reserve(services_.size());
  for (const auto& [name, service] : services_) all.push_back(service->status());
  return all;
}

void Supervisor::stop_all(std::function<void()> gone) {
  // One more than there are services, so that the last answer comes after the last question.
  auto left = std::make_shared<std::size_t>(services_.size() + 1);
  const auto one_less = [left, gone = std::move(gone)] {
    if (--*left == 0) gone();
  };
  for (const auto& [name, service] : services_) {
    service->pause(one_less);
  }
  one_less();
}

void Supervisor::notify(pid_t sender, const Notification& notification, std::vector<UniqueFd> fds) {
  for (const pid_t candidate : {sender, session_of(sender)}) {
    if (candidate <= 0) continue;
    for (const auto& [name, service] : services_) {
      Instance* const instance = service->instance_of(candidate);
      if (instance == nullptr) continue;
      return service->notify(*instance, notification, std::move(fds), room_to_park());
    }
  }
}

// The vault has to have room for every listening socket first.
std::size_t Supervisor::room_to_park() const {
  constexpr std::size_t kMostInAll = 64;
  std::size_t parked = 0;
  for (const auto& [name, service] : services_) parked += service->parked();
  return kMostInAll - std::min(kMostInAll, parked);
}

void Supervisor::cap_logs() {
  for (const auto& [name, service] : services_) cap_service_log(around_.home.service(name));
}

}  // namespace sb::supervise
