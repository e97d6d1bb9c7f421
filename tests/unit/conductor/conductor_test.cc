// The real conductor with real services: what it does for one service, for its own successor, and for
// workers.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/resource.h>

#include "os/unix_socket.h"
#include "sqlite/database.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "support/wait.h"
#include "unit/conductor/conductor_process.h"
#include "unit/conductor/test_versions.h"

namespace sb::tests {
namespace {

TEST(Conductor, starts_a_service_once_and_passes_it_its_socket) {
  ConductorProcess conductor;
  conductor.start();
  const TestVersions versions(conductor.home(), "web");
  const Json first = conductor.call("service.ensure", versions.ensure(1));
  const Json second = conductor.call("service.ensure", versions.ensure(1));
  EXPECT_EQ(first["pid"], second["pid"]);
  EXPECT_EQ(http_get(first["sockets"][0]), "v1 " + std::to_string(first["pid"].get<int>()));
}

TEST(Conductor, refuses_a_service_whose_program_is_missing_and_forgets_it) {
  ConductorProcess conductor;
  conductor.start();
  const TestVersions versions(conductor.home(), "web");
  Json params = versions.ensure(1);
  params["spec"]["command"] = {"bin/none"};
  const Result<Json> answer = conductor.try_call("service.ensure", params);
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().what.find("bin/none"), std::string::npos) << answer.error().what;
  EXPECT_TRUE(conductor.service("web").is_null());
}

TEST(Conductor, says_which_key_of_a_service_is_wrong) {
  ConductorProcess conductor;
  conductor.start();
  Json params = TestVersions(conductor.home(), "web").ensure(1);
  params["spec"]["drain_timeut_ms"] = 5;
  const Result<Json> answer = conductor.try_call("service.ensure", params);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::usage);
  EXPECT_NE(answer.error().what.find("did you mean \"drain_timeout_ms\""), std::string::npos)
      << answer.error().what;
}

TEST(Conductor, restarts_a_service_that_was_killed_on_the_same_socket) {
  ConductorProcess conductor;
  conductor.start();
  const Json service = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  const int old_pid = service["pid"].get<int>();
  ::kill(old_pid, SIGKILL);
  // The listening socket stays open with the conductor: the request waits in its backlog for the next
  // process.
  const std::string answer = http_get(service["sockets"][0]);
  EXPECT_EQ(answer.substr(0, 3), "v1 ");
  EXPECT_NE(answer, "v1 " + std::to_string(old_pid));
  const Json now = conductor.service("web");
  EXPECT_EQ(now["restarts"], 1);
  EXPECT_EQ(now["last_exit"], "killed by SIGKILL");
}

TEST(Conductor, stops_starts_and_removes_a_service) {
  ConductorProcess conductor;
  conductor.start();
  const TestVersions versions(conductor.home(), "web");
  const int pid = conductor.call("service.ensure", versions.ensure(1))["pid"].get<int>();
  EXPECT_EQ(conductor.call("service.stop", {{"name", "web"}})["state"], "stopped");
  wait_for_end(pid);
  const Json started = conductor.call("service.start", {{"name", "web"}});
  EXPECT_EQ(started["state"], "running");
  const Json restarted = conductor.call("service.restart", {{"name", "web"}});
  EXPECT_NE(restarted["pid"], started["pid"]);
  conductor.call("service.remove", {{"name", "web"}});
  EXPECT_TRUE(conductor.service("web").is_null());
  EXPECT_EQ(conductor.try_call("service.stop", {{"name", "web"}}).error().kind, ErrorKind::not_found);
}

TEST(Conductor, does_not_remove_a_service_that_was_started_again_while_it_drained) {
  ConductorProcess conductor;
  conductor.start();
  const TestVersions versions(conductor.home(), "web");
  versions.make(1, "lingers");
  const int pid = conductor.call("service.ensure", versions.ensure(1))["pid"].get<int>();
  wait_until([&] { return conductor.service("web")["state"] == "running"; });
  write(versions.folder(1) / "behaviour", "ok");  // of the next one
  Result<Json> removed;
  Result<Json> started;
  std::thread remover([&] { removed = conductor.try_call("service.remove", {{"name", "web"}}); });
  wait_until([&] { return conductor.service("web")["pid"] == 0; });
  std::thread starter([&] { started = conductor.try_call("service.start", {{"name", "web"}}); });
  wait_until([&] { return conductor.service("web")["state"] == "starting"; });
  ::kill(pid, SIGKILL);
  remover.join();
  starter.join();
  EXPECT_ERROR(ErrorKind::conflict, removed);
  ASSERT_GOOD(started);
  EXPECT_EQ(conductor.service("web")["state"], "running");
}

TEST(Conductor, adopts_its_services_after_kill_9_and_has_their_sockets_back) {
  ConductorProcess conductor;
  conductor.start();
  const TestVersions versions(conductor.home(), "web");
  const Json before = conductor.call("service.ensure", versions.ensure(1));
  conductor.kill_and_wait();
  const Json after = conductor.service("web");
  EXPECT_EQ(after["pid"], before["pid"]);
  EXPECT_EQ(after["sockets"], before["sockets"]);
  EXPECT_EQ(after["status_text"].get<std::string>().find("lost"), std::string::npos) << after["status_text"];
  // It is really supervised again: its death is seen, and the socket is there for the next one.
  ::kill(after["pid"].get<int>(), SIGKILL);
  EXPECT_EQ(http_get(before["sockets"][0]).substr(0, 3), "v1 ");
  EXPECT_EQ(conductor.service("web")["last_exit"], "killed by SIGKILL");
}

TEST(Conductor, adopts_its_services_after_a_stop_and_a_start) {
  ConductorProcess conductor;
  conductor.start();
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  conductor.stop(false);
  conductor.start();
  EXPECT_EQ(conductor.service("web")["pid"], before["pid"]);
  EXPECT_EQ(http_get(before["sockets"][0]), "v1 " + std::to_string(before["pid"].get<int>()));
}

TEST(Conductor, starts_a_service_that_died_while_it_was_away) {
  ConductorProcess conductor;
  conductor.start();
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  conductor.stop(false);
  ::kill(before["pid"].get<int>(), SIGKILL);
  wait_for_end(before["pid"].get<int>());
  conductor.start();
  EXPECT_EQ(http_get(before["sockets"][0]).substr(0, 3), "v1 ");
  EXPECT_NE(conductor.service("web")["pid"], before["pid"]);
}

TEST(Conductor, stops_its_services_when_asked_and_starts_them_again_at_its_next_start) {
  ConductorProcess conductor;
  conductor.start();
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  conductor.stop(true);
  EXPECT_FALSE(os::start_ticks_of(before["pid"].get<int>()).has_value()) << "the service still runs";
  conductor.start();
  EXPECT_EQ(http_get(before["sockets"][0]).substr(0, 3), "v1 ");
}

// Everything that the database's pages say, and what waits to be brought into them.
void damage(const os::Home& home) {
  const std::uintmax_t size = std::filesystem::file_size(home.database());
  std::ofstream(home.database(), std::ios::binary) << std::string(size, '#');
  std::error_code code;
  if (std::filesystem::exists(home.database().string() + "-wal", code)) {
    std::filesystem::resize_file(home.database().string() + "-wal", 0);
  }
}

TEST(Conductor, takes_the_last_backup_when_its_database_is_damaged) {
  ConductorProcess conductor;
  const std::filesystem::path backup = conductor.home().database().string() + ".backup";
  conductor.start();
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  conductor.stop(false);
  std::filesystem::remove(backup);
  conductor.start();
  wait_until([&] { return std::filesystem::exists(backup); });
  conductor.stop(false);
  std::filesystem::resize_file(conductor.home().database(), 0);
  conductor.start();
  EXPECT_NE(conductor.log().find("selfbuild.db is empty"), std::string::npos);
  EXPECT_EQ(conductor.service("web")["pid"], before["pid"]);
  conductor.stop(false);
  damage(conductor.home());
  conductor.start();
  EXPECT_NE(conductor.log().find("the last backup of the database takes its place"), std::string::npos);
  EXPECT_EQ(conductor.service("web")["pid"], before["pid"]);
  // It still knows how the service is started.
  EXPECT_EQ(conductor.call("service.restart", {{"name", "web"}})["state"], "running");
  EXPECT_EQ(http_get(before["sockets"][0]).substr(0, 3), "v1 ");
}

TEST(Conductor, finds_its_services_by_their_processes_when_its_database_is_lost) {
  ConductorProcess conductor;
  const TestVersions versions(conductor.home(), "web");
  conductor.start();
  const Json before = conductor.call("service.ensure", versions.ensure(1));
  wait_until([&] { return conductor.service("web")["state"] == "running"; });
  const std::filesystem::path backup = conductor.home().database().string() + ".backup";
  wait_until([&] { return std::filesystem::exists(backup); });  // the next one is due in a minute
  std::filesystem::remove(backup);
  damage(conductor.home());
  conductor.kill_and_wait();
  EXPECT_NE(conductor.log().find("the database begins empty"), std::string::npos);
  const Json after = conductor.service("web");
  EXPECT_EQ(after["pid"], before["pid"]);
  EXPECT_EQ(after["sockets"], before["sockets"]);
  EXPECT_EQ(after["version"], 1);
  EXPECT_EQ(versions.processes(1), 1);
  const Json again = conductor.call("service.restart", {{"name", "web"}});
  EXPECT_NE(again["pid"], before["pid"]);
  EXPECT_EQ(http_get(before["sockets"][0]), "v1 " + std::to_string(again["pid"].get<int>()));
}

TEST(Conductor, starts_again_when_its_database_is_damaged_while_it_runs) {
  ConductorProcess conductor;
  conductor.start();
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  damage(conductor.home());
  wait_until([&] { return conductor.log().find("is put aside") != std::string::npos; });
  conductor.wait_until_ready();
  EXPECT_EQ(conductor.service("web")["pid"], before["pid"]);
  EXPECT_EQ(http_get(before["sockets"][0]), "v1 " + std::to_string(before["pid"].get<int>()));
}

TEST(Conductor, outlives_a_time_without_descriptors_and_heals_what_died_in_it) {
  rlimit before_limit{};
  ::getrlimit(RLIMIT_NOFILE, &before_limit);
  const rlimit few{.rlim_cur = 64, .rlim_max = before_limit.rlim_max};
  ConductorProcess conductor;
  ::setrlimit(RLIMIT_NOFILE, &few);  // inherited
  conductor.start();
  ::setrlimit(RLIMIT_NOFILE, &before_limit);
  const Json before = conductor.call("service.ensure", TestVersions(conductor.home(), "web").ensure(1));
  const auto pid = conductor.call("conductor.status")["pid"].get<pid_t>();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(UniqueFd client, os::connect_unix(conductor.home().conductor_socket()));
    clients.push_back(std::move(client));
  }
  // Not all of them fit: the rest waits to be accepted.
  const std::filesystem::path open = "/proc/" + std::to_string(pid) + "/fd";
  wait_until([&] { return std::distance(std::filesystem::directory_iterator(open), {}) >= 64; });
  ::kill(before["pid"].get<pid_t>(), SIGKILL);
  wait_until([&] { return conductor.log().find("Too many open files") != std::string::npos; });
  clients.clear();
  EXPECT_EQ(http_get(before["sockets"][0]).substr(0, 3), "v1 ");
  EXPECT_NE(conductor.service("web")["pid"], before["pid"]);
}

TEST(Conductor, runs_once_per_home_and_names_the_one_that_does) {
  ConductorProcess conductor;
  conductor.start();
  const UniqueFd output(::memfd_create("output", 0));
  os::SpawnSpec spec;
  spec.argv = {SELFBUILD_TEST_CONDUCTOR, "run"};
  spec.environment = {"SELFBUILD_HOME=" + conductor.home().state().parent_path().string()};
  spec.output = output.get();
  ASSERT_OK(const os::Process second, os::spawn(spec));
  wait_for_end(second.pid);
  EXPECT_EQ(os::reap(second)->code, 4);
  std::array<char, 1000> text{};
  ASSERT_GT(::pread(output.get(), text.data(), text.size() - 1, 0), 0);
  const std::string pid = std::to_string(conductor.call("conductor.status")["pid"].get<int>());
  EXPECT_NE(std::string(text.data()).find("pid " + pid), std::string::npos) << text.data();
}

TEST(Conductor, gives_a_task_to_the_next_worker_when_the_first_has_gone) {
  ConductorProcess conductor;
  conductor.start();
  const Json submitted = conductor.call("task.submit", {{"project", "p"},
                                                        {"kind", "update"},
                                                        {"commit", ""},
                                                        {"from", 0},
                                                        {"plan", "{}"},
                                                        {"title", "t"},
                                                        {"triggered_by", "test"}});
  auto first = std::make_unique<rpc::Client>(conductor.connect());
  ASSERT_OK(const Json lease, first->call("task.claim", Json::object()));
  EXPECT_EQ(lease["task"], submitted["task"]);
  EXPECT_EQ(lease["cycle"], submitted["cycle"]);
  EXPECT_EQ(lease["attempt"], 1);
  first.reset();
  rpc::Client second = conductor.connect();
  ASSERT_OK(const Json again, second.call("task.claim", Json::object()));
  EXPECT_EQ(again["task"], submitted["task"]);
  EXPECT_EQ(again["attempt"], 2);
  const Json stale{{"task", lease["task"]}, {"attempt", 1}, {"ok", true}, {"result", Json::object()}};
  EXPECT_ERROR(ErrorKind::interrupted, second.call("task.complete", stale));
  ASSERT_GOOD(second.call(
      "task.complete", {{"task", lease["task"]}, {"attempt", 2}, {"ok", true}, {"result", Json::object()}}));
  EXPECT_EQ(conductor.call("task.list")["tasks"][0]["status"], "completed");
}

TEST(Conductor, frees_a_task_as_soon_as_the_disk_lets_it) {
  ConductorProcess conductor;
  conductor.start();
  conductor.call("task.submit", {{"project", "p"}, {"plan", "{}"}});
  auto first = std::make_unique<rpc::Client>(conductor.connect());
  ASSERT_GOOD(first->call("task.claim", Json::object()));
  ASSERT_OK(sqlite::Database database, sqlite::Database::open(conductor.home().database()));
  ASSERT_GOOD(
      database.execute("CREATE TRIGGER refused BEFORE UPDATE ON task WHEN NEW.status = 'pending' "
                       "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"));
  first.reset();
  wait_until([&] { return conductor.log().find("the disk is full") != std::string::npos; });
  ASSERT_GOOD(database.execute("DROP TRIGGER refused"));
  rpc::Client second = conductor.connect();
  ASSERT_OK(const Json lease, second.call("task.claim", Json::object()));
  EXPECT_EQ(lease["attempt"], 2);
}

TEST(Conductor, gives_a_task_out_as_soon_as_the_disk_lets_it) {
  ConductorProcess conductor;
  conductor.start();
  conductor.call("task.submit", {{"project", "p"}, {"plan", "{}"}});
  ASSERT_OK(sqlite::Database database, sqlite::Database::open(conductor.home().database()));
  ASSERT_GOOD(
      database.execute("CREATE TRIGGER refused BEFORE UPDATE ON task "
                       "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"));
  Result<Json> lease;
  std::thread worker([&] { lease = conductor.try_call("task.claim"); });
  wait_until([&] { return conductor.log().find("the disk is full") != std::string::npos; });
  ASSERT_GOOD(database.execute("DROP TRIGGER refused"));
  worker.join();
  ASSERT_GOOD(lease);
  EXPECT_EQ((*lease)["attempt"], 1);
}

TEST(Conductor, holds_a_second_task_back_while_the_first_is_worked_on) {
  ConductorProcess conductor;
  conductor.start();
  const Json request{{"project", "p"}, {"commit", ""}, {"plan", "{}"}, {"title", "t"}};
  conductor.call("task.submit", request);
  const Json second = conductor.call("task.submit", request);
  rpc::Client one = conductor.connect();
  ASSERT_OK(const Json lease, one.call("task.claim", Json::object()));
  {
    rpc::Client other = conductor.connect();
    EXPECT_ERROR(ErrorKind::interrupted,
                 other.call("task.claim", Json::object(), std::chrono::milliseconds(50)));
  }
  EXPECT_EQ(conductor.call("conductor.status")["tasks"], (Json{{"pending", 1}, {"running", 1}}));
  ASSERT_GOOD(one.call("task.complete",
                       {{"task", lease["task"]}, {"attempt", 1}, {"ok", true}, {"result", Json::object()}}));
  ASSERT_OK(const Json next, one.call("task.claim", Json::object()));
  EXPECT_EQ(next["task"], second["task"]);
}

TEST(Conductor, frees_a_task_when_it_was_killed_itself) {
  ConductorProcess conductor;
  conductor.start();
  conductor.call("task.submit", {{"project", "p"}, {"plan", "{}"}});
  rpc::Client first = conductor.connect();
  ASSERT_GOOD(first.call("task.claim", Json::object()));
  conductor.kill_and_wait();
  rpc::Client second = conductor.connect();
  ASSERT_OK(const Json lease, second.call("task.claim", Json::object()));
  EXPECT_EQ(lease["attempt"], 2);
}

}  // namespace
}  // namespace sb::tests
