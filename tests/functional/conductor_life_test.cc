// The conductor's own life, as the command line sees it: it dies and is stopped, with its real keeper.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>

#include "base/unique_fd.h"
#include "os/process.h"
#include "sqlite/database.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb::tests {
namespace {

using Json = nlohmann::json;

class ConductorLife : public testing::Test {
 protected:
  ConductorLife() { host_.make_tiny_project(); }

  [[nodiscard]] Json status() const {
    const Finished finished = host_.selfbuild({"conductor", "status", "--json"});
    EXPECT_EQ(finished.code, 0) << finished.all();
    return Json::parse(finished.out, nullptr, false);
  }
  void start() const {
    const Finished started = host_.selfbuild({"conductor", "start"});
    ASSERT_EQ(started.code, 0) << started.all();
  }
  // Whether a conductor or a keeper lives: each holds a lock for as long as it does.
  [[nodiscard]] bool lives() const {
    for (const char* lock : {"conductor.lock", "keeper.lock"}) {
      const UniqueFd fd(::open((host_.home().state() / lock).c_str(), O_RDWR | O_CLOEXEC));
      if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return true;
    }
    return false;
  }
  // What no conductor of this edition can read.
  void set_schema(int version) const {
    ASSERT_OK(sqlite::Database database, sqlite::Database::open(host_.home().database()));
    ASSERT_GOOD(database.execute("UPDATE schema_version SET version = " + std::to_string(version) +
                                 " WHERE component = 'supervise'"));
  }
  [[nodiscard]] int schema() const {
    Result<sqlite::Database> database = sqlite::Database::open(host_.home().database());
    EXPECT_TRUE(database.has_value());
    Result<sqlite::Statement> row =
        database->prepare("SELECT version FROM schema_version WHERE component = 'supervise'");
    EXPECT_TRUE(row.has_value() && row->step().value_or(false));
    return static_cast<int>(row->integer(0));
  }

  // A conductor as a script: what it does with check-state and with serve, by shell.
  [[nodiscard]] std::string script(const std::string& check_state, const std::string& serve) const {
    const std::filesystem::path path = host_.scratch() / "conductor-script";
    write(path, "#!/bin/sh\ncase $1 in check-state) " + check_state + ";; *) " + serve + ";; esac\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path.string();
  }
  [[nodiscard]] std::string real(const std::string& command) const {
    return "exec " + host_.environment.at("SELFBUILD_CONDUCTOR") + " " + command;
  }
  // Refused, and the same conductor runs on.
  void expect_refused(const std::vector<std::string>& arguments, const std::string& words) const {
    const Json before = status();
    std::vector<std::string> all{"conductor", "upgrade"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Finished upgrade = host_.selfbuild(all);
    EXPECT_EQ(upgrade.code, 1) << upgrade.all();
    EXPECT_NE(upgrade.err.find(words), std::string::npos) << upgrade.err;
    EXPECT_EQ(status()["pid"], before["pid"]);
    EXPECT_EQ(status()["program"], before["program"]);
  }

  Installation host_;
};

TEST_F(ConductorLife, stop_also_stops_a_conductor_that_its_keeper_is_just_starting_again) {
  for (int i = 0; i < 5; ++i) {
    start();
    const Json before = status();
    const auto worker = before["services"][0]["pid"].get<pid_t>();
    ::kill(before["pid"].get<pid_t>(), SIGKILL);
    const Finished stopped = host_.selfbuild({"conductor", "stop", "--services"});
    EXPECT_EQ(stopped.code, 0) << stopped.all();
    EXPECT_EQ(stopped.err, "the conductor and its services have stopped\n");
    EXPECT_FALSE(lives());
    EXPECT_FALSE(os::start_ticks_of(worker).has_value()) << "the worker still runs";
  }
  EXPECT_EQ(host_.selfbuild({"conductor", "stop"}).err, "the conductor is not running\n");
}

TEST_F(ConductorLife, stop_ends_the_keeper_of_a_conductor_that_cannot_start) {
  start();
  const Json before = status();
  const int schema = this->schema();
  set_schema(99);
  ::kill(before["pid"].get<pid_t>(), SIGKILL);
  const Finished stopped = host_.selfbuild({"conductor", "stop", "--services"});
  EXPECT_EQ(stopped.code, 4) << stopped.all();
  EXPECT_NE(stopped.err.find("its services could not be stopped and run on"), std::string::npos)
      << stopped.err;
  EXPECT_FALSE(lives());
  EXPECT_EQ(this->schema(), 99);
  // They are adopted by the next one that can read the database.
  set_schema(schema);
  start();
  EXPECT_EQ(status()["services"][0]["pid"], before["services"][0]["pid"]);
}

TEST_F(ConductorLife, a_conductor_without_its_keeper_beside_it_is_told_by_doctor_and_does_not_start) {
  const std::filesystem::path installed = host_.scratch() / "bin" / "conductor";
  std::filesystem::create_directory(installed.parent_path());
  std::filesystem::copy_file(host_.environment.at("SELFBUILD_CONDUCTOR"), installed);
  host_.environment["SELFBUILD_CONDUCTOR"] = installed.string();
  const Finished doctor = host_.selfbuild({"doctor", "--json"});
  EXPECT_NE(doctor.out.find("cannot start without " + installed.string() + "-keeper"), std::string::npos)
      << doctor.out;
  const Finished started = host_.selfbuild({"conductor", "start"});
  EXPECT_EQ(started.code, 4) << started.all();
  EXPECT_NE(started.err.find("the conductor ended at once (exit code 4)"), std::string::npos) << started.err;
  EXPECT_FALSE(lives());
}

TEST_F(ConductorLife, start_waits_for_a_conductor_that_its_keeper_is_just_starting_again) {
  start();
  for (int i = 0; i < 5; ++i) {
    const Json before = status();
    ::kill(before["pid"].get<pid_t>(), SIGKILL);
    start();
    EXPECT_NE(status()["pid"], before["pid"]);
    EXPECT_EQ(status()["services"][0]["pid"], before["services"][0]["pid"]);
  }
}

TEST_F(ConductorLife, start_leaves_no_process_behind_that_could_bring_a_stopped_conductor_back) {
  // Another caller's conductor answers first; ours is slow, and has not looked for the locks yet.
  const std::filesystem::path slow = host_.scratch() / "slow";
  host_.environment["SELFBUILD_CONDUCTOR"] =
      script("", "echo $$ >" + slow.string() + "; setsid " + host_.environment.at("SELFBUILD_CONDUCTOR") +
                     " run & exec sleep 600");
  start();
  EXPECT_FALSE(os::start_ticks_of(std::stoi(read(slow))).has_value()) << "the slow one is still on its way";
  EXPECT_EQ(host_.selfbuild({"conductor", "stop", "--services"}).code, 0);
  EXPECT_FALSE(lives());
}

TEST_F(ConductorLife, works_on_without_its_keeper_and_says_so) {
  start();
  const Json before = status();
  const std::string keeper = read(host_.home().state() / "keeper.lock");
  ASSERT_EQ(::kill(static_cast<pid_t>(std::stol(keeper)), SIGKILL), 0);
  wait_until([&] { return !status()["keeper"].get<bool>(); });
  EXPECT_EQ(status()["pid"], before["pid"]);
  EXPECT_NE(host_.selfbuild({"conductor", "status"}).out.find("keeper           gone"), std::string::npos);
  expect_refused({host_.environment.at("SELFBUILD_CONDUCTOR")}, "has lost its keeper");
  EXPECT_EQ(host_.selfbuild({"conductor", "stop"}).code, 0);
  start();
  EXPECT_TRUE(status()["keeper"].get<bool>());
  EXPECT_EQ(status()["services"][0]["pid"], before["services"][0]["pid"]);
}

TEST_F(ConductorLife, goes_on_when_its_database_is_damaged_together_with_a_worker_that_has_it_open) {
  start();
  const Json before = status();
  const std::filesystem::path database = host_.home().database();
  const std::string rubbish(std::filesystem::file_size(database), '#');
  std::ofstream(database, std::ios::binary) << rubbish;
  const std::filesystem::path log = database.string() + "-wal";
  if (std::filesystem::exists(log)) std::filesystem::resize_file(log, 0);
  ::kill(before["pid"].get<pid_t>(), SIGKILL);
  wait_until([&] { return !lives() || host_.selfbuild({"conductor", "status"}).code == 0; });
  const Finished update = host_.selfbuild({"update"});
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_EQ(host_.live("tiny"), "v1");
  EXPECT_NE(status()["services"][0]["pid"], before["services"][0]["pid"]) << "the same worker";
}

TEST_F(ConductorLife, upgrade_refuses_what_does_not_read_the_state) {
  start();
  expect_refused({"/bin/true"}, "an answer that no conductor gives");
  expect_refused({script("echo too old; exit 4", "exit 0")}, "too old");
  const int schema = this->schema();
  set_schema(99);
  expect_refused({script(real("check-state"), real("serve"))}, "written by a newer selfbuild");
  EXPECT_EQ(this->schema(), 99);
  set_schema(schema);
}

TEST_F(ConductorLife, upgrade_refuses_to_burn_the_bridge_behind_it_unless_asked_to) {
  start();
  const std::string file =
      script(R"(echo '{"version":"9","found":{"bus":1},"needs":{"bus":2},"migrates":true}')", real("serve"));
  expect_refused({file}, "--migrate");
  const Finished upgrade = host_.selfbuild({"conductor", "upgrade", file, "--migrate"});
  EXPECT_EQ(upgrade.code, 0) << upgrade.all();
  EXPECT_NE(upgrade.err.find("conductor 9 runs now"), std::string::npos) << upgrade.err;
  EXPECT_NE(upgrade.err.find("no way back"), std::string::npos) << upgrade.err;
  EXPECT_EQ(status()["program"]["previous"], "");
}

TEST_F(ConductorLife, the_conductor_before_comes_back_when_the_new_one_cannot_live) {
  start();
  const Json before = status();
  const Finished upgrade =
      host_.selfbuild({"conductor", "upgrade", script(real("check-state"), "exit 1"), "--json"});
  EXPECT_EQ(upgrade.code, 3) << upgrade.all();
  const Json told = Json::parse(upgrade.out, nullptr, false);
  EXPECT_EQ(told["outcome"], "went_back");
  const Json after = status();
  EXPECT_EQ(after["pid"], told["pid"]);
  EXPECT_EQ(after["program"]["path"], told["previous"]);
  EXPECT_EQ(after["program"]["rejected"], told["program"]);
  EXPECT_EQ(after["program"]["previous"], "");
  EXPECT_EQ(after["services"][0]["pid"], before["services"][0]["pid"]);
}

TEST_F(ConductorLife, an_upgrade_lasts_until_another_conductor_is_installed) {
  const std::filesystem::path installed = host_.scratch() / "bin";
  const std::filesystem::path built = host_.environment.at("SELFBUILD_CONDUCTOR");
  std::filesystem::create_directory(installed);
  for (const char* name : {"conductor", "conductor-keeper"}) {
    std::filesystem::copy_file(built.parent_path() / name, installed / name);
  }
  host_.environment["SELFBUILD_CONDUCTOR"] = (installed / "conductor").string();
  start();
  const std::filesystem::path file = host_.scratch() / "next";
  std::filesystem::copy_file(built, file);
  std::ofstream(file, std::ios::app) << "another one";
  ASSERT_EQ(host_.selfbuild({"conductor", "upgrade", file.string()}).code, 0);
  const std::string upgraded = status()["program"]["path"];
  EXPECT_TRUE(upgraded.starts_with(host_.home().conductors().string())) << upgraded;
  ASSERT_EQ(host_.selfbuild({"conductor", "stop"}).code, 0);
  start();
  EXPECT_EQ(status()["program"]["path"], upgraded);

  ASSERT_EQ(host_.selfbuild({"conductor", "stop"}).code, 0);
  std::filesystem::last_write_time(installed / "conductor", std::filesystem::file_time_type::clock::now());
  start();
  EXPECT_EQ(status()["program"]["path"], (installed / "conductor").string());
}

}  // namespace
}  // namespace sb::tests
