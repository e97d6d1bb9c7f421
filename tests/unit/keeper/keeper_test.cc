// The keeper as a process of its own, above conductors that die in many ways.
#include "keeper/keeper.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "keeper/keeper_link.h"
#include "os/process.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::keeper {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Keeper : public testing::Test {
 protected:
  void start(const std::string& scene) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output_ = UniqueFd(ends[0]);
    const UniqueFd writer(ends[1]);
    os::SpawnSpec spec;
    spec.argv = {FAKE_CONDUCTOR, "keep", folder_.path().string(), scene};
    spec.environment = {"PATH=/usr/bin:/bin"};
    spec.output = writer.get();
    Result<os::Process> process = os::spawn(spec);
    ASSERT_TRUE(process.has_value()) << format_error(process.error());
    process_ = std::move(*process);
  }
  // Everything keeper and conductors printed, once all of them have ended.
  std::string rest_of_output() const {
    std::string text;
    std::array<char, 4096> bytes{};
    for (ssize_t got = 0; (got = ::read(output_.get(), bytes.data(), bytes.size())) > 0;) {
      text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  // Blocks until the text has been printed (or all have ended).
  void wait_for_output(const std::string& wanted) const {
    std::string text;
    char byte = '\0';
    while (text.find(wanted) == std::string::npos && ::read(output_.get(), &byte, 1) == 1) text += byte;
    ASSERT_THAT(text, HasSubstr(wanted));
  }
  std::string end() const {
    siginfo_t info{};
    ::waitid(P_PIDFD, static_cast<id_t>(process_.pidfd.get()), &info, WEXITED | WNOWAIT);
    return os::reap(process_).value_or(os::Exit{}).to_string();
  }
  [[nodiscard]] std::vector<std::string> lines(const std::string& file) const {
    std::vector<std::string> lines;
    const std::string text = tests::read(folder_.path() / file);
    for (const std::string_view line : split_lines(text)) lines.emplace_back(line);
    return lines;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  UniqueFd output_;
  os::Process process_;
};

TEST_F(Keeper, hands_descriptors_from_conductor_to_conductor) {
  start("hold");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("run 2 has http=http2", "run 2 has https=https1",
                                          "run 3 has http=http2", "run 3 has https=https1"));
}

TEST_F(Keeper, tells_the_next_conductor_how_orphans_ended) {
  start("orphan");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  const std::vector<std::string> notes = lines("notes");
  ASSERT_THAT(notes, SizeIs(4));
  const std::string first = notes[0].substr(std::string("started ").size());
  const std::string second = notes[1].substr(std::string("started ").size());
  EXPECT_THAT(std::vector<std::string>(notes.begin() + 2, notes.end()),
              testing::UnorderedElementsAre("heard " + first + " exit code 7",
                                            "heard " + second + " killed by SIGTERM"));
}

TEST_F(Keeper, waits_longer_before_each_restart) {
  const auto begin = std::chrono::steady_clock::now();
  start("crash3");
  EXPECT_EQ(end(), "exit code 0");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_THAT(lines("runs"), SizeIs(4));
  EXPECT_GE(took, std::chrono::milliseconds{0 + 10 + 30});
  const std::string output = rest_of_output();
  for (const char* wait : {" 0 ms", " 10 ms", " 30 ms"}) EXPECT_THAT(output, HasSubstr(wait));
}

TEST_F(Keeper, does_not_restart_a_conductor_that_gives_up) {
  start("give_up");
  EXPECT_EQ(end(), "exit code 78");
  EXPECT_THAT(lines("runs"), SizeIs(1));
}

TEST_F(Keeper, restarts_a_conductor_that_gives_up_although_it_could_start_before) {
  start("give_up_later");
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("notes"), ElementsAre("run 4 has http=http1"));
}

TEST_F(Keeper, passes_signals_on_and_ends_with_the_conductor) {
  for (const int signal : {SIGTERM, SIGINT}) {
    start("wait");
    wait_for_output("up");
    os::send_signal(process_, signal);
    EXPECT_EQ(end(), "exit code 0");
  }
  EXPECT_THAT(lines("notes"), ElementsAre("ended by SIGTERM", "ended by SIGINT"));
  EXPECT_THAT(lines("runs"), SizeIs(2));
}

TEST_F(Keeper, ends_at_a_signal_that_comes_between_two_conductors) {
  start("crash_for_ever");
  wait_for_output("in 3600000 ms");
  os::send_signal(process_, SIGTERM);
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("runs"), SizeIs(3));
}

TEST_F(Keeper, tries_again_when_the_program_is_missing) {
  start("missing");
  wait_for_output("/does/not/exist: No such file");
  wait_for_output("code 127");
  wait_for_output("code 127");
  os::send_signal(process_, SIGTERM);
  (void)end();
}

TEST_F(Keeper, holds_as_much_as_fits) {
  start("overfill");
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("notes"), ElementsAre("held " + std::to_string(kMaxHeld)));
  EXPECT_THAT(rest_of_output(), HasSubstr("no room"));
}

TEST_F(Keeper, lets_a_conductor_close_its_end) {
  start("deaf");
  EXPECT_EQ(end(), "exit code 0");
}

TEST(KeeperSource, is_small_enough_to_be_trusted) {
  std::ifstream source(KEEPER_SOURCE);
  int lines = 0;
  for (std::string line; std::getline(source, line);) ++lines;
  EXPECT_GT(lines, 100);
  EXPECT_LE(lines, 200);
}

TEST(KeeperLink, does_nothing_without_a_keeper) {
  ::unsetenv(kVariable);
  KeeperLink link = KeeperLink::from_environment();
  EXPECT_FALSE(link.connected());
  EXPECT_EQ(link.fd(), -1);
  ASSERT_GOOD(link.put("http", 0));
  ASSERT_GOOD(link.drop("http"));
  EXPECT_THAT(link.take_all(), IsEmpty());
  EXPECT_THAT(link.read_exits(), IsEmpty());
}

TEST(KeeperLink, is_not_deceived_by_a_senseless_variable) {
  for (const char* value : {"", "x", "-3", "99999999999999999999", "4711", "3x"}) {
    ::setenv(kVariable, value, 1);
    EXPECT_FALSE(KeeperLink::from_environment().connected()) << value;
  }
}

TEST(KeeperLink, says_that_the_keeper_is_gone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  ::setenv(kVariable, std::to_string(ends[0]).c_str(), 1);
  KeeperLink link = KeeperLink::from_environment();
  ASSERT_TRUE(link.connected());
  ASSERT_GOOD(link.put("unread", 0));
  ASSERT_EQ(::send(ends[1], "exited 12 256", 13, 0), 13);
  ::close(ends[1]);
  const std::vector<OrphanExit> exits = link.read_exits();
  ASSERT_THAT(exits, SizeIs(1));
  EXPECT_EQ(exits[0].pid, 12);
  EXPECT_EQ(exits[0].exit.to_string(), "exit code 1");
  EXPECT_FALSE(link.connected());
  EXPECT_ERROR(ErrorKind::environment, link.put("http", 0));
}

}  // namespace
}  // namespace sb::keeper
