#include "tool/selfbuild/worker_service.h"

#include <nlohmann/json.hpp>

#include "os/process.h"
#include "supervise/service_spec.h"

namespace sb::tool {
namespace {

supervise::ServiceSpec worker_spec(const std::string& program) {
  supervise::ServiceSpec spec;
  spec.name = kWorkerService;
  spec.command = {program, "worker"};
  spec.ready.kind = supervise::ProbeSpec::Kind::notify;
  spec.health.kind = supervise::ProbeSpec::Kind::watchdog;
  spec.health.interval = std::chrono::milliseconds(5000);
  spec.drain_timeout = std::chrono::milliseconds(5000);
  return spec;
}

// A worker that came from a build folder which has since been deleted can never start again.
bool is_stale(const Json& service) {
  std::error_code code;
  const std::string directory = service.value("directory", "");
  return service.value("version", 0) == 0 && service.value("state", "") != "running" &&
         !std::filesystem::exists(std::filesystem::path(directory) / "selfbuild", code);
}

}  // namespace

Status ensure_worker(update::ConductorLink& conductor) {
  SB_CHECK(conductor.start_if_needed());
  const std::filesystem::path program = os::own_executable();
  const Json params{{"spec", supervise::to_json(worker_spec(program.string()))},
                    {"project", "selfbuild"},
                    {"directory", program.parent_path().string()},
                    {"version", 0}};
  SB_TRY(const Json service, doing("starting the worker", conductor.call("service.ensure", params)));
  if (!is_stale(service)) return {};
  SB_CHECK(conductor.call("service.remove", {{"name", kWorkerService}}));
  SB_CHECK(doing("starting the worker", conductor.call("service.ensure", params)));
  return {};
}

}  // namespace sb::tool
