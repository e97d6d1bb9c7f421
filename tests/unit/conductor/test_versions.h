// Version folders of a project "p" with one service, laid out as `selfbuild` would.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "os/home.h"
#include "supervise/service_spec.h"

namespace sb::tests {

class TestVersions {
 public:
  TestVersions(const os::Home& home, std::string service);

  // Makes versions/vN with the given behaviour of test_service; see there.
  void make(int number, const std::string& behaviour) const;
  [[nodiscard]] supervise::ServiceSpec spec() const { return spec_; }
  [[nodiscard]] supervise::ServiceSpec& edit() { return spec_; }
  [[nodiscard]] std::filesystem::path folder(int number) const { return home_.version("p", number); }

  [[nodiscard]] Json ensure(int number) const;                        // params of service.ensure
  [[nodiscard]] Json promote(int number, int from) const;             // params of cycle.begin
  [[nodiscard]] Json activate(std::int64_t cycle, int number) const;  // params of activation.begin
  [[nodiscard]] std::string pointer() const;                          // "versions/v1", or ""
  [[nodiscard]] int processes(int number) const;                      // that run from its folder

 private:
  const os::Home& home_;
  supervise::ServiceSpec spec_;
};

}  // namespace sb::tests
