#include "tool/conductor/metrics.h"

#include <array>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "http/exposition.h"

namespace sb::tool {
namespace {

using http::Exposition;
using Type = Exposition::Type;

constexpr std::array<std::string_view, 9> kStates{"starting",  "running",   "not ready",
                                                  "reloading", "stopping",  "unhealthy",
                                                  "backoff",   "safe mode", "stopped"};

// statm: proc(5). 0 for a process that has gone.
std::int64_t resident_bytes(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::int64_t size = 0;
  std::int64_t resident = 0;
  file >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::int64_t number(const Json& object, const char* key) {
  return json_integer_or(object, key, 0).value_or(0);
}

// One sample of each service.
template <typename Value>
void each_service(Exposition& text, const Json& services, const Value& value) {
  for (const Json& service : services) {
    text.sample({{"service", service.value("name", "")}, {"project", service.value("project", "")}},
                value(service));
  }
}

void add_services(Exposition& text, const Json& services) {
  text.family("selfbuild_service_up", Type::gauge, "1 while the service runs, is ready and healthy.");
  each_service(text, services, [](const Json& one) { return one.value("state", "") == "running" ? 1 : 0; });
  text.family("selfbuild_service_state", Type::gauge, "1 for the state that the service is in.");
  for (const Json& service : services) {
    const std::string name = service.value("name", "");
    const std::string now = service.value("state", "");
    for (const std::string_view state : kStates) {
      text.sample({{"service", name}, {"state", state}}, now == state ? 1 : 0);
    }
    text.sample({{"service", name}, {"state", "failed"}}, now == "failed" ? 1 : 0);
  }
  text.family("selfbuild_service_version", Type::gauge, "The version that is live; 0: of no project.");
  each_service(text, services, [](const Json& one) { return number(one, "version"); });
  text.family("selfbuild_service_restarts", Type::gauge, "Starts by itself since its version went live.");
  each_service(text, services, [](const Json& one) { return number(one, "restarts"); });
  text.family("selfbuild_service_start_time_seconds", Type::gauge,
              "Since when it is in its state, in Unix time.");
  each_service(text, services, [](const Json& one) { return number(one, "since_ms") / 1000; });
  text.family("selfbuild_service_resident_memory_bytes", Type::gauge, "Resident memory of its main process.");
  each_service(text, services, [](const Json& one) {
    const std::int64_t pid = number(one, "pid");
    return pid > 0 ? resident_bytes(pid) : 0;
  });
}

}  // namespace

std::string metrics_text(const Json& status, const Swaps& swaps) {
  Exposition text;
  text.family("selfbuild_build_info", Type::gauge, "1, with the conductor's version.");
  text.sample({{"version", status.value("version", "")}}, 1);
  text.family("selfbuild_conductor_start_time_seconds", Type::gauge,
              "When this conductor started, in Unix time.");
  text.sample(number(status, "started_ms") / 1000);
  text.family("selfbuild_conductor_boots", Type::gauge,
              "Conductors that the keeper has started, this one included.");
  text.sample(number(status.value("program", Json::object()), "boots"));
  text.family("selfbuild_conductor_resident_memory_bytes", Type::gauge, "Resident memory of the conductor.");
  text.sample(resident_bytes(::getpid()));
  add_services(text, status.value("services", Json::array()));
  text.family("selfbuild_swaps_total", Type::counter,
              "Versions that were put into service, by how that ended.");
  text.sample({{"outcome", "kept"}}, swaps.kept);
  text.sample({{"outcome", "rolled_back"}}, swaps.rolled_back);
  text.sample({{"outcome", "failed"}}, swaps.failed);
  text.family("selfbuild_swap_running", Type::gauge, "1 while a version is being put into service.");
  text.sample(status.value("activation", Json()).is_null() ? 0 : 1);
  const Json tasks = status.value("tasks", Json::object());
  text.family("selfbuild_tasks", Type::gauge, "Tasks in the queue.");
  text.sample({{"state", "pending"}}, number(tasks, "pending"));
  text.sample({{"state", "running"}}, number(tasks, "running"));
  return text.text();
}

}  // namespace sb::tool
