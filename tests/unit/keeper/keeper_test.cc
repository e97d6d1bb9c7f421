// The keeper as a process of its own, above conductors that die in many ways.
#include "keeper/keeper.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"
#include "keeper/keeper_link.h"
#include "os/process.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb::keeper {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Keeper : public testing::Test {
 protected:
  Keeper() {
    fs::create_directory(programs());
    lock_ = UniqueFd(::open((folder_.path() / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  // The real keeper above fake conductors; pause: the longest between two of them, in ms.
  void start(const std::string& scene, const std::string& pause = "30",
             const std::string& program = FAKE_CONDUCTOR) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output_ = UniqueFd(ends[0]);
    const UniqueFd writer(ends[1]);
    os::SpawnSpec spec;
    spec.argv = {KEEPER_PROGRAM, "3", programs().string(), program, pause};
    spec.environment = {"PATH=/usr/bin:/bin", "FAKE_FOLDER=" + folder_.path().string(),
                        "FAKE_SCENE=" + scene};
    spec.sockets = {lock_.get()};
    spec.socket_names = {"lock"};
    spec.output = writer.get();
    Result<os::Process> process = os::spawn(spec);
    ASSERT_TRUE(process.has_value()) << format_error(process.error());
    process_ = std::move(*process);
  }
  [[nodiscard]] fs::path programs() const { return folder_.path() / "programs"; }
  // Has programs/LINK point to a conductor of that name.
  void point(const std::string& link, const std::string& name) const {
    const fs::path program = folder_.path() / name;
    if (!fs::exists(program)) fs::copy_file(FAKE_CONDUCTOR, program);
    fs::create_symlink(program, programs() / link);
  }
  [[nodiscard]] std::string target(const std::string& link) const {
    std::error_code code;
    return fs::read_symlink(programs() / link, code).filename();
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
  UniqueFd lock_;
  UniqueFd output_;
  os::Process process_;
};

TEST_F(Keeper, hands_descriptors_from_conductor_to_conductor) {
  start("hold");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("run 2 has http=http2", "run 2 has https=https1",
                                          "run 3 has http=http2", "run 3 has https=https1"));
}

TEST_F(Keeper, starts_the_next_conductor_ahead_and_tells_it_all_when_its_turn_comes) {
  start("next");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("run 1 ends", "run 2 of 2 has http=late"));
}

TEST_F(Keeper, starts_another_one_when_the_next_conductor_died_before_its_turn) {
  start("next_dies");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("runs"), SizeIs(3));
  EXPECT_THAT(lines("notes"), ElementsAre("run 1 ends"));
}

TEST_F(Keeper, starts_the_next_conductor_anew_when_another_one_is_current_by_then) {
  start("next_twice");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("run 3"));
}

TEST_F(Keeper, ends_with_a_conductor_that_is_stopped_after_it_began_to_hand_over) {
  start("next_called_off");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("runs"), SizeIs(2));
}

TEST_F(Keeper, leaves_no_next_conductor_behind_when_it_is_stopped) {
  start("next_waits");
  wait_for_output("up");
  const auto next = static_cast<pid_t>(std::stol(lines("runs").at(1)));
  const std::optional<os::Process> waiting = os::adopt(next, os::start_ticks_of(next).value_or(0));
  ASSERT_TRUE(waiting);
  os::send_signal(process_, SIGTERM);
  EXPECT_EQ(end(), "exit code 0");
  pollfd ended{.fd = waiting->pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, -1), 1);
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
  start("crash3", "300");
  EXPECT_EQ(end(), "exit code 0");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_THAT(lines("runs"), SizeIs(4));
  EXPECT_GE(took, std::chrono::milliseconds{0 + 100 + 300});
  const std::string output = rest_of_output();
  for (const char* wait : {" 0 ms", " 100 ms", " 300 ms"}) EXPECT_THAT(output, HasSubstr(wait));
  EXPECT_THAT(lines("notes"),
              ElementsAre("boots 1 deaths 0", "boots 2 deaths 1", "boots 3 deaths 2", "boots 4 deaths 3"));
}

TEST_F(Keeper, starts_a_conductor_that_was_up_again_at_once_however_often_it_dies) {
  start("dies_later", "3600000");
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("runs"), SizeIs(4));
  EXPECT_THAT(rest_of_output(), Not(HasSubstr("again in 3600000 ms")));
}

TEST_F(Keeper, does_not_restart_a_conductor_that_gives_up) {
  start("give_up");
  EXPECT_EQ(end(), "exit code 4");
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
  start("crash_for_ever", "3600000");
  wait_for_output("in 3600000 ms");
  os::send_signal(process_, SIGTERM);
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("runs"), SizeIs(4));
}

TEST_F(Keeper, tries_again_when_the_program_is_missing) {
  start("missing", "30", "/does/not/exist");
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

TEST_F(Keeper, does_not_pass_its_lock_on) {
  ASSERT_EQ(::flock(lock_.get(), LOCK_EX), 0);
  start("wait");
  lock_.reset();  // the keeper has it now
  wait_for_output("up");
  const UniqueFd other(::open((folder_.path() / "lock").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
  os::send_signal(process_, SIGKILL);
  (void)end();
  EXPECT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0) << "the conductor has it";
  ::kill(static_cast<pid_t>(std::stol(lines("runs").at(0))), SIGKILL);
}

TEST_F(Keeper, starts_what_is_current_when_a_conductor_hands_over) {
  point("current", "old");
  point("next", "new");
  start("hand_over");
  EXPECT_EQ(end(), "exit code 0");
  EXPECT_THAT(lines("notes"), ElementsAre("old", "new"));
  EXPECT_EQ(rest_of_output(), "");
}

TEST_F(Keeper, goes_back_to_the_conductor_before_when_one_dies_three_times_in_a_row) {
  point("current", "new");
  point("previous", "old");
  start("broken");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("new", "new", "new", "old"));
  EXPECT_EQ(target("current"), "old");
  EXPECT_EQ(target("rejected"), "new");
  EXPECT_EQ(target("previous"), "");
}

TEST_F(Keeper, does_not_go_back_to_a_program_that_is_gone) {
  point("current", "new");
  fs::create_symlink("/does/not/exist", programs() / "previous");
  start("broken", "3600000");
  wait_for_output("in 3600000 ms");
  EXPECT_EQ(target("current"), "new");
  os::send_signal(process_, SIGTERM);
  EXPECT_EQ(end(), "exit code 0");
}

TEST_F(Keeper, starts_the_given_conductor_when_the_current_one_is_gone) {
  fs::create_symlink("/does/not/exist", programs() / "current");
  start("broken");
  EXPECT_EQ(end(), "exit code 0") << rest_of_output();
  EXPECT_THAT(lines("notes"), ElementsAre("fake_conductor"));
}

// Two services of a conductor that then cannot be started: one is dead, the other accepts nobody yet.
class LastResort : public Keeper {
 protected:
  static UniqueFd connect(const std::string& port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(fd.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    return fd;
  }
  // Everything until the other end closes.
  static std::string answer(const UniqueFd& fd) {
    std::string text;
    std::array<char, 1000> bytes{};
    for (ssize_t got = 0; (got = ::read(fd.get(), bytes.data(), bytes.size())) > 0;) {
      text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
};

TEST_F(LastResort, answers_for_a_dead_service_and_takes_nobody_from_a_living_one) {
  start("sockets", "3600000");
  wait_for_output("in 3600000 ms");
  const std::vector<std::string> notes = lines("notes");
  ASSERT_THAT(notes, SizeIs(3));
  const UniqueFd to_busy = connect(notes[1]);
  const std::string dead = answer(connect(notes[0]));
  EXPECT_THAT(dead, testing::StartsWith("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"));
  EXPECT_THAT(dead, HasSubstr("\r\nConnection: close\r\n"));
  // Whoever answers the dead one's clients has seen this one for longer, and left it alone.
  const auto busy = static_cast<pid_t>(std::stol(notes[2]));
  ::kill(busy, SIGUSR1);
  EXPECT_THAT(answer(to_busy), HasSubstr("the service"));
  // It is seen when that one dies, too.
  ::kill(busy, SIGKILL);
  tests::wait_until([&] { return !os::start_ticks_of(busy); });
  EXPECT_THAT(answer(connect(notes[1])), HasSubstr("503"));
  os::send_signal(process_, SIGTERM);
  EXPECT_EQ(end(), "exit code 0");
}

TEST_F(LastResort, ends_when_a_conductor_starts) {
  start("sockets");
  wait_for_output("code 1; starting it again in 30 ms\nkeeper: the conductor ended with code 1");
  const std::vector<std::string> notes = lines("notes");
  ASSERT_THAT(notes, SizeIs(3));
  ::kill(static_cast<pid_t>(std::stol(notes[2])), SIGKILL);
  tests::write(folder_.path() / "mended", "");
  tests::wait_until([&] { return answer(connect(notes[0])).find("the service") != std::string::npos; });
  for (int i = 0; i < 20; ++i) EXPECT_THAT(answer(connect(notes[0])), HasSubstr("the service"));
  ::kill(static_cast<pid_t>(std::stol(lines("runs").back())), SIGKILL);
  wait_for_output("ended with code 137");
  os::send_signal(process_, SIGTERM);
  (void)end();
}

TEST(KeeperProgram, needs_no_library_and_no_loader) {
  if (!KEEPER_LINKED_STATICALLY) GTEST_SKIP() << "this host has no static C library";
  const std::string program = tests::read(KEEPER_PROGRAM);
  Elf64_Ehdr header{};
  ASSERT_GT(program.size(), sizeof header);
  std::memcpy(&header, program.data(), sizeof header);
  ASSERT_GT(header.e_phnum, 0);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    std::memcpy(&part, program.data() + header.e_phoff + i * sizeof part, sizeof part);
    EXPECT_NE(part.p_type, PT_INTERP);
    EXPECT_NE(part.p_type, PT_DYNAMIC);
  }
}

// keeper.cc is the process that holds everything; the rest of the program remembers, speaks, and stands in.
TEST(KeeperProgram, is_small_enough_to_be_trusted) {
  const std::string keeper = tests::read(fs::path(KEEPER_FOLDER) / "keeper.cc");
  EXPECT_GT(split_lines(keeper).size(), 100U);
  EXPECT_LE(split_lines(keeper).size(), 200U);
  std::istringstream sources(KEEPER_SOURCES);
  std::size_t code = 0;
  for (std::string name; sources >> name;) {
    const std::string text = tests::read(fs::path(KEEPER_FOLDER) / name);
    code += static_cast<std::size_t>(std::ranges::count_if(split_lines(text), [](std::string_view line) {
      return !trim(line).empty() && !trim(line).starts_with("//") && !line.starts_with("#include");
    }));
  }
  EXPECT_GT(code, 200U);
  EXPECT_LE(code, 450U);
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
