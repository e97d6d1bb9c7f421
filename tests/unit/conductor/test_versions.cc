#include "unit/conductor/test_versions.h"

#include <nlohmann/json.hpp>

#include "os/file_system.h"
#include "support/files.h"

namespace sb::tests {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

TestVersions::TestVersions(const os::Home& home, std::string service) : home_(home) {
  spec_.name = std::move(service);
  spec_.command = {"bin/test_service"};
  spec_.environment = {"EVENTS=" + (home.state() / "events").string()};
  spec_.sockets = {{.name = "http", .listen = "127.0.0.1:0"}};
  spec_.ready.kind = supervise::ProbeSpec::Kind::notify;
  spec_.health.kind = supervise::ProbeSpec::Kind::http;
  spec_.health.address = "http";
  spec_.health.path = "/health";
  spec_.health.interval = milliseconds(50);
  spec_.health.failures = 2;
  // Longer than any start on a busy machine; a test that wants the limit sets its own.
  spec_.start_timeout = milliseconds(60'000);
  spec_.drain_timeout = milliseconds(60'000);
  spec_.probation = milliseconds(300);
  make(1, "ok");
}

void TestVersions::make(int number, const std::string& behaviour) const {
  const fs::path root = folder(number);
  write(root / "version", "v" + std::to_string(number));
  write(root / "behaviour", behaviour);
  fs::create_directories(root / "bin");
  fs::copy_file(SELFBUILD_TEST_SERVICE, root / "bin/test_service", fs::copy_options::overwrite_existing);
}

Json TestVersions::ensure(int number) const {
  return {{"spec", supervise::to_json(spec_)},
          {"project", "p"},
          {"directory", folder(number).string()},
          {"version", number}};
}

Json TestVersions::promote(int number, int from) const {
  return {{"kind", "promote"},
          {"project", "p"},
          {"from", from},
          {"plan", "{}"},
          {"version", number},
          {"directory", folder(number).string()},
          {"services", Json::array({supervise::to_json(spec_)})},
          {"triggered_by", "test"}};
}

Json TestVersions::activate(std::int64_t cycle, int number) const {
  return {{"cycle", cycle},
          {"project", "p"},
          {"version", number},
          {"directory", folder(number).string()},
          {"services", Json::array({supervise::to_json(spec_)})}};
}

std::string TestVersions::pointer() const {
  const Result<fs::path> target = os::read_link(home_.pointer("p"));
  return target ? target->string() : "";
}

int TestVersions::processes(int number) const {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::error_code code;  // of a process that has gone since, and of a zombie
    if (fs::read_symlink(entry.path() / "exe", code) == folder(number) / "bin/test_service") ++count;
  }
  return count;
}

}  // namespace sb::tests
