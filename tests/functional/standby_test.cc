// A service that takes long to boot and has a standby: its crash costs nobody a boot.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functional/http_service_test.h"
#include "os/file_system.h"
#include "support/wait.h"

namespace sb {
namespace {

TEST_F(HttpServiceTest, with_a_standby_costs_nobody_a_boot_when_it_crashes) {
  host_.edit("selfbuild.yaml", "swap: overlap", "swap: overlap\n  standby: true");
  host_.edit("selfbuild.yaml", "probation: 2s", "probation: 300ms");
  host_.edit("version.h", "OPTIONS \"\"", "OPTIONS \"--boot 500\"");
  host_.commit("Boot long, and keep a standby");
  const tests::Finished update = host_.selfbuild({"update"});
  ASSERT_EQ(update.code, 0) << update.all();
  const auto wait_for_standby = [this] {
    tests::wait_until([this] { return service().at("standby") == "ready"; });
  };
  wait_for_standby();

  const auto client = load();
  for (int crash = 1; crash <= 2; ++crash) {
    const int pid = service().at("pid").get<int>();
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    tests::wait_until([&] { return service().at("restarts") == crash; });
    EXPECT_EQ(service().at("state"), "running") << "the next one is still booting, and nobody waits for it";
    EXPECT_NE(service().at("pid"), pid);
    wait_for_standby();
  }
  EXPECT_EQ(client->lap().refused, 0U);

  // It makes room for the next version, which has one, too.
  const auto patch = host_.patch("version.h", "\"v1\"", "\"v2\"");
  const tests::Finished next = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(next.code, 0) << next.all();
  wait_for_standby();
  expect_no_failure(client->stop());
}

}  // namespace
}  // namespace sb
