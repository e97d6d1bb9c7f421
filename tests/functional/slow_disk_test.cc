// A disk that does not answer for as long as the test likes: what is in service stays there, and who is
// answered finds what it did after a power cut.
#include <csignal>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "http_service_test.h"
#include "support/conversation.h"
#include "support/held_syncs.h"
#include "support/wait.h"

namespace sb {
namespace {

using tests::Finished;
using tests::HeldSyncs;

class SlowDisk : public HttpServiceTest {
 protected:
  SlowDisk() { host_.slow_the_disk_by(held_file()); }
  [[nodiscard]] std::filesystem::path held_file() const { return host_.scratch() / "held"; }
};

TEST_F(SlowDisk, keeps_nobody_from_being_served_and_healed) {
  const auto client = load();
  std::optional<HeldSyncs> held(held_file());
  // Its answer has to wait for the disk.
  tests::Background pin = host_.selfbuild_in_background({"pin"});
  tests::wait_until([this] { return service()["pin"] == "pinned"; });
  for (int crash = 0; crash < 3; ++crash) {
    const int pid = service().at("pid").get<int>();
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    tests::wait_until([&] { return service().value("pid", pid) != pid && service()["state"] == "running"; });
  }
  std::optional<std::uint64_t> healed;
  EXPECT_TRUE(client->wait_until([&](const tests::LoadReport& now) {
    if (!healed) healed = now.ok;
    return now.ok >= *healed + 200;
  }));
  EXPECT_TRUE(pin.running());
  held.reset();
  const Finished pinned = pin.wait();
  EXPECT_EQ(pinned.code, 0) << pinned.all();
  const tests::LoadReport report = client->stop();
  EXPECT_EQ(report.refused, 0U) << to_json(report).dump(2);
}

TEST_F(SlowDisk, keeps_nobody_from_going_back) {
  host_.edit("version.h", "\"v1\"", "\"v2\"");
  host_.commit("Another version");
  const Finished update = host_.selfbuild({"update"});
  ASSERT_EQ(update.code, 0) << update.all();
  const auto client = load();
  std::optional<HeldSyncs> held(held_file());
  tests::Background rollback = host_.selfbuild_in_background({"rollback"});
  tests::wait_until([this] { return service()["version"] == 1 && host_.live("http-service") == "v1"; });
  EXPECT_TRUE(rollback.running());
  held.reset();
  const Finished back = rollback.wait();
  EXPECT_EQ(back.code, 0) << back.all();
  expect_no_failure(client->stop());
}

}  // namespace
}  // namespace sb
