// One service: when it is up, when it is restarted, how it stops, and what a new conductor finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sqlite/database.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ServiceTest : public ::testing::Test {
 protected:
  Service& make(const Deployment& deployment) {
    Result<Service*> service = world_.supervisor->ensure(deployment, true);
    EXPECT_TRUE(service.has_value());
    return **service;
  }
  Service& start(const Deployment& deployment) {
    Service& service = make(deployment);
    service.start([this](const Status& up) { answers_.push_back(up ? "up" : up.error().what); });
    return service;
  }
  Service& start_and_be_up(const Deployment& deployment) {
    Service& service = start(deployment);
    world_.ready(world_.newest());
    EXPECT_EQ(service.status().state, "running");
    return service;
  }
  [[nodiscard]] std::size_t starts() const { return world_.processes.started.size(); }
  // From now on the database refuses this, as a full disk would; until allow_writes().
  void refuse_writes(const std::string& what) {
    execute("CREATE TRIGGER refused BEFORE " + what + " BEGIN SELECT RAISE(ABORT, 'disk full'); END");
  }
  void allow_writes() { execute("DROP TRIGGER refused"); }
  void execute(const std::string& sql) {
    ASSERT_OK(sqlite::Database database, sqlite::Database::open(world_.home.database()));
    ASSERT_GOOD(database.execute(sql));
  }

  tests::FakeWorld world_;
  std::vector<std::string> answers_;
};

TEST_F(ServiceTest, is_up_once_it_is_ready_and_healthy) {
  world_.probe.sick.insert(world_.folder(1));
  Service& service = start(world_.deployment(1));
  world_.pass(500);
  EXPECT_EQ(world_.probe.asked, 0) << "asked before READY=1";
  world_.ready(world_.newest());
  world_.pass(500);
  EXPECT_EQ(service.status().state, "starting");
  EXPECT_THAT(answers_, ElementsAre());
  world_.probe.sick.clear();
  world_.pass(100);
  EXPECT_EQ(service.status().state, "running");
  EXPECT_THAT(answers_, ElementsAre("up"));
}

TEST_F(ServiceTest, gives_its_process_sockets_and_the_environment_of_systemd) {
  Deployment deployment = world_.deployment(1);
  deployment.spec.environment = {"COLOR=red"};
  start(deployment);
  const os::SpawnSpec& spec = world_.processes.started.front().spec;
  EXPECT_EQ(spec.argv.front(), (world_.folder(1) / "bin/web").string());
  EXPECT_EQ(spec.directory, world_.folder(1));
  EXPECT_THAT(spec.socket_names, ElementsAre("http"));
  ASSERT_EQ(spec.sockets.size(), 1U);
  EXPECT_THAT(spec.environment,
              ::testing::IsSupersetOf({"COLOR=red", "NOTIFY_SOCKET=/run/notify.sock",
                                       "SELFBUILD_SOCKET=/run/conductor.sock", "SELFBUILD_INSTANCE=web:1"}));
  EXPECT_TRUE(spec.new_session);
}

TEST_F(ServiceTest, that_is_not_ready_in_time_is_killed_and_started_again) {
  Service& service = start(world_.deployment(1));
  const pid_t first = world_.newest();
  world_.pass(10'000);
  EXPECT_THAT(answers_, ElementsAre("service web is unhealthy: not ready within 10.0 s"));
  EXPECT_THAT(world_.processes.signals, ElementsAre(Pair(first, SIGTERM)));
  EXPECT_EQ(starts(), 2U);
  EXPECT_EQ(service.status().restarts, 1);
}

TEST_F(ServiceTest, may_ask_for_more_time_to_start) {
  start(world_.deployment(1));
  world_.pass(9'000);
  Notification more;
  more.extend_timeout_usec = 20'000'000;
  world_.supervisor->notify(world_.newest(), more);
  world_.pass(19'000);
  EXPECT_EQ(starts(), 1U);
  world_.pass(1'000);
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ServiceTest, is_restarted_at_once_and_then_ever_later) {
  start_and_be_up(world_.deployment(1));
  for (const int delay : {0, 0, 50, 200, 1000, 5000, 30'000, 30'000}) {
    const std::size_t before = starts();
    world_.processes.end(world_.newest());
    if (delay > 0) {
      world_.pass(delay - 1);
      EXPECT_EQ(starts(), before) << "restarted earlier than after " << delay << " ms";
      EXPECT_EQ(world_.status().state, delay < 1'000 ? "backoff" : "safe mode");
      world_.pass(1);
    }
    world_.settle();
    EXPECT_EQ(starts(), before + 1) << "not restarted after " << delay << " ms";
  }
}

TEST_F(ServiceTest, waits_a_little_longer_at_random) {
  start_and_be_up(world_.deployment(1));
  world_.random = 1;
  for (int i = 0; i < 2; ++i) {
    world_.processes.end(world_.newest());
    world_.settle();
  }
  const std::size_t before = starts();
  world_.processes.end(world_.newest());
  world_.pass(54);
  EXPECT_EQ(starts(), before);
  world_.pass(1);
  EXPECT_EQ(starts(), before + 1);
}

TEST_F(ServiceTest, is_restarted_before_anything_is_written) {
  start_and_be_up(world_.deployment(1));
  const auto pids_on_disk = [this] {
    std::vector<pid_t> pids;
    for (const InstanceRow& row : world_.table->instances("web").value()) pids.push_back(row.pid);
    return pids;
  };
  for (int i = 0; i < 3; ++i) {
    std::vector<pid_t> seen;
    world_.processes.fails = [&](const os::SpawnSpec&) {
      seen = pids_on_disk();
      return false;
    };
    const pid_t dying = world_.newest();
    world_.processes.end(dying);
    world_.pass(50);
    // The third start comes 50 ms later.
    EXPECT_EQ(seen, i < 2 ? std::vector<pid_t>({dying, 0}) : std::vector<pid_t>({0})) << "start " << i + 2;
    EXPECT_THAT(pids_on_disk(), ElementsAre(world_.newest(), 0));
  }
}

TEST_F(ServiceTest, that_was_restarted_is_found_when_the_conductor_died_before_it_was_recorded) {
  start_and_be_up(world_.deployment(1));
  refuse_writes("UPDATE OF pid ON instance");
  world_.processes.end(world_.newest());
  world_.settle();
  ASSERT_EQ(starts(), 2U);
  allow_writes();
  world_.restart();
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(starts(), 2U) << "a second copy was started";
  EXPECT_EQ(world_.status().pid, world_.newest());
}

TEST_F(ServiceTest, is_restarted_on_a_disk_that_is_full) {
  start_and_be_up(world_.deployment(1));
  refuse_writes("INSERT ON instance");
  for (int i = 0; i < 5; ++i) {
    world_.processes.end(world_.newest());
    world_.pass(1'000);
  }
  EXPECT_EQ(starts(), 6U) << world_.log;
  EXPECT_THAT(world_.log, HasSubstr("not recorded: "));
  allow_writes();
  world_.processes.end(world_.newest());
  world_.pass(30'000);
  world_.restart();
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(world_.status().pid, world_.newest());
  EXPECT_EQ(world_.processes.alive.size(), 1U);
}

TEST_F(ServiceTest, runs_without_a_log_when_it_cannot_be_written) {
  tests::write(world_.home.service("web"), "a file where its folder should be");
  start_and_be_up(world_.deployment(1));
  EXPECT_EQ(world_.processes.started.back().spec.output, -1);
  EXPECT_THAT(world_.log, HasSubstr("its output is lost: "));
}

TEST_F(ServiceTest, is_restarted_at_once_again_after_it_ran_well_for_a_while) {
  start_and_be_up(world_.deployment(1));
  for (int i = 0; i < 3; ++i) {
    world_.processes.end(world_.newest());
    world_.pass(200);
    world_.ready(world_.newest());
    world_.pass(static_cast<int>(RestartBackoff::kStable.count()));
  }
  const std::size_t before = starts();
  world_.processes.end(world_.newest());
  world_.settle();
  EXPECT_EQ(starts(), before + 1);
}

TEST_F(ServiceTest, is_restarted_only_after_several_failed_checks_in_a_row) {
  Service& service = start_and_be_up(world_.deployment(1));
  world_.probe.sick.insert(world_.folder(1));
  world_.pass(2'000);
  world_.probe.sick.clear();
  world_.pass(1'000);
  world_.probe.sick.insert(world_.folder(1));
  world_.pass(2'000);
  EXPECT_EQ(starts(), 1U);
  world_.pass(1'000);
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(service.status().status_text,
              HasSubstr("3 health checks in a row failed: GET /health answered 503"));
}

TEST_F(ServiceTest, is_not_blamed_for_a_host_that_cannot_ask) {
  start_and_be_up(world_.deployment(1));
  world_.probe.cannot_ask = true;
  world_.pass(10'000);
  EXPECT_EQ(world_.status().state, "running");
  world_.probe.cannot_ask = false;
  world_.probe.sick.insert(world_.folder(1));
  world_.pass(4'000);
  EXPECT_EQ(starts(), 2U) << "it was never asked again";
}

TEST_F(ServiceTest, with_a_watchdog_has_to_report_in_time) {
  Deployment deployment = world_.deployment(1);
  deployment.spec.health = ProbeSpec{};
  deployment.spec.health.kind = ProbeSpec::Kind::watchdog;
  deployment.spec.health.interval = std::chrono::milliseconds(1'000);
  start_and_be_up(deployment);
  Notification alive;
  alive.watchdog = true;
  for (int i = 0; i < 10; ++i) {
    world_.pass(900);
    world_.supervisor->notify(world_.newest(), alive);
  }
  EXPECT_EQ(starts(), 1U);
  world_.pass(1'200);
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(world_.log, HasSubstr("no WATCHDOG=1 for 1.0 s"));
}

TEST_F(ServiceTest, with_another_health_check_need_not_go_on_with_a_watchdog) {
  start_and_be_up(world_.deployment(1));
  Notification alive;
  alive.watchdog = true;
  world_.supervisor->notify(world_.newest(), alive);
  world_.pass(60'000);
  EXPECT_EQ(starts(), 1U) << world_.log;
}

TEST_F(ServiceTest, that_does_not_go_is_killed_after_its_drain_timeout) {
  Service& service = start_and_be_up(world_.deployment(1));
  const pid_t pid = world_.newest();
  world_.processes.stubborn.insert(pid);
  bool gone = false;
  service.stop([&] { gone = true; });
  world_.pass(9'999);
  EXPECT_FALSE(gone);
  world_.pass(1);
  EXPECT_TRUE(gone);
  EXPECT_THAT(world_.processes.signals, ElementsAre(Pair(pid, SIGTERM), Pair(pid, SIGKILL)));
  EXPECT_EQ(service.status().state, "stopped");
  world_.pass(60'000);
  EXPECT_EQ(starts(), 1U) << "a stopped service was restarted";
}

TEST_F(ServiceTest, is_never_started_beside_one_that_is_still_leaving) {
  Service& service = start_and_be_up(world_.deployment(1));
  world_.processes.stubborn.insert(world_.newest());
  service.stop([] {});
  service.start([](const Status&) {});
  service.start([](const Status&) {});
  world_.pass(9'000);
  EXPECT_EQ(starts(), 1U);
  world_.pass(2'000);
  EXPECT_EQ(starts(), 2U);
  EXPECT_EQ(world_.processes.alive.size(), 1U);
}

TEST_F(ServiceTest, comes_up_again_when_the_conductor_dies_in_its_restart) {
  Service& service = start_and_be_up(world_.deployment(1));
  world_.processes.stubborn.insert(world_.newest());
  service.restart([](const Status&) {});
  EXPECT_EQ(service.status().state, "starting");
  world_.restart();
  world_.supervisor->resume();
  world_.pass(10'000);
  EXPECT_EQ(starts(), 2U);
  EXPECT_EQ(world_.processes.alive.size(), 1U);
}

TEST_F(ServiceTest, that_is_stopped_in_its_restart_stays_stopped) {
  Service& service = start_and_be_up(world_.deployment(1));
  world_.processes.stubborn.insert(world_.newest());
  answers_.clear();
  service.restart([this](const Status& up) { answers_.push_back(up ? "up" : up.error().what); });
  service.stop([] {});
  world_.pass(60'000);
  EXPECT_EQ(starts(), 1U);
  EXPECT_EQ(service.status().state, "stopped");
  EXPECT_THAT(answers_, ElementsAre("service web was stopped"));
}

TEST_F(ServiceTest, is_started_once_by_two_restarts_and_a_start_at_once) {
  Service& service = start_and_be_up(world_.deployment(1));
  world_.processes.stubborn.insert(world_.newest());
  answers_.clear();
  const auto answer = [this](const Status& up) { answers_.push_back(up ? "up" : up.error().what); };
  service.restart(answer);
  service.restart(answer);
  service.start(answer);
  world_.pass(10'000);
  world_.ready(world_.newest());
  EXPECT_EQ(starts(), 2U);
  EXPECT_THAT(answers_, ElementsAre("up", "up", "up"));
}

TEST_F(ServiceTest, that_cannot_be_started_is_retried_with_back_off_and_says_why) {
  world_.processes.fails = [](const os::SpawnSpec&) { return true; };
  Service& service = start(world_.deployment(1));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_THAT(answers_.front(), HasSubstr("cannot start"));
  world_.pass(100);
  EXPECT_EQ(service.status().state, "backoff");
  EXPECT_THAT(service.status().status_text, HasSubstr("cannot start"));
  world_.processes.fails = nullptr;
  world_.pass(2'000);
  EXPECT_EQ(starts(), 1U);
}

TEST_F(ServiceTest, that_still_runs_is_adopted_and_not_started_again) {
  start_and_be_up(world_.deployment(1));
  const pid_t pid = world_.newest();
  const std::vector<std::string> sockets = world_.status().sockets;
  world_.restart();
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(starts(), 1U);
  EXPECT_EQ(world_.status().pid, pid);
  EXPECT_EQ(world_.status().state, "running") << "READY=1 of the time before was forgotten";
  EXPECT_EQ(world_.status().sockets, sockets);
  world_.processes.end(pid);
  world_.settle();
  EXPECT_EQ(starts(), 2U) << "the adopted process is not watched";
  EXPECT_THAT(world_.processes.rests_killed, ElementsAre(pid));
}

TEST_F(ServiceTest, that_died_meanwhile_is_started_with_the_same_address) {
  start_and_be_up(world_.deployment(1));
  const std::vector<std::string> sockets = world_.status().sockets;
  world_.processes.forget_watchers();
  world_.processes.end(world_.newest());
  world_.restart(/*keep_vault=*/false);
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(starts(), 2U);
  EXPECT_EQ(world_.status().sockets, sockets);
  EXPECT_THAT(world_.processes.rests_killed, ElementsAre(world_.processes.started.front().pid));
}

TEST_F(ServiceTest, whose_pid_was_not_recorded_is_found_by_its_environment) {
  start_and_be_up(world_.deployment(1));
  ASSERT_GOOD(world_.table->set_process(1, 0, 0, 0));  // as if the crash came right after the start
  world_.restart();
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(starts(), 1U) << "a second copy was started";
  EXPECT_EQ(world_.status().pid, world_.newest());
}

TEST_F(ServiceTest, that_was_stopped_stays_stopped_after_a_restart_of_the_conductor) {
  Service& service = start_and_be_up(world_.deployment(1));
  service.stop([] {});
  world_.settle();
  world_.restart();
  world_.supervisor->resume();
  world_.settle();
  EXPECT_EQ(starts(), 1U);
  EXPECT_EQ(world_.status().state, "stopped");
}

TEST_F(ServiceTest, keeps_its_socket_across_restarts_and_gives_it_up_when_removed) {
  Service& service = start_and_be_up(world_.deployment(1));
  const std::string address = service.status().sockets.front();
  world_.processes.end(world_.newest());
  world_.settle();
  EXPECT_EQ(service.status().sockets.front(), address);
  EXPECT_EQ(world_.vault.held.size(), 1U);
  EXPECT_ERROR(ErrorKind::conflict, bind_socket({.name = "x", .listen = address}));
  service.stop([&] { world_.supervisor->remove("web"); });
  world_.settle();
  EXPECT_EQ(world_.supervisor->find("web"), nullptr);
  EXPECT_TRUE(world_.vault.held.empty());
  EXPECT_TRUE(bind_socket({.name = "x", .listen = address}).has_value());
}

TEST_F(ServiceTest, never_removes_a_file_that_is_no_socket) {
  const std::filesystem::path path = world_.root.path() / "web.sock";
  Deployment deployment = world_.deployment(1);
  deployment.spec.sockets = {{.name = "http", .listen = "unix:" + path.string()}};
  tests::write(path, "dear diary");
  Service& service = start(deployment);
  EXPECT_THAT(world_.log, HasSubstr("exists and is not a socket"));
  EXPECT_EQ(tests::read(path), "dear diary");
  std::filesystem::remove(path);
  world_.pass(60'000);
  EXPECT_TRUE(std::filesystem::is_socket(path));
  // Somebody puts a file in its place.
  std::filesystem::remove(path);
  tests::write(path, "dear diary");
  service.stop([&] { world_.supervisor->remove("web"); });
  world_.settle();
  EXPECT_EQ(tests::read(path), "dear diary");
}

TEST_F(ServiceTest, of_an_unknown_name_is_not_found_with_a_suggestion) {
  make(world_.deployment(1));
  const Result<Service*> missing = world_.supervisor->get("wob");
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().what, HasSubstr("did you mean \"web\""));
}

}  // namespace
}  // namespace sb::supervise
