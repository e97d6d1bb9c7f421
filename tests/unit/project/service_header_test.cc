// The headers that a service may use, as C++; the template `counter` uses them as C.
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/unique_fd.h"
#include "os/file_system.h"
#include "staging-templates/include/selfbuild/service.h"
#include "staging-templates/include/selfbuild/service_state.h"
#include "support/files.h"

namespace sb::tests {
namespace {

// The environment of a service, as long as this lives.
class Variables {
 public:
  using Variable = std::pair<std::string, std::string>;
  Variables(std::initializer_list<Variable> variables) : variables_(variables) {
    for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() {
    for (const auto& [name, value] : variables_) ::unsetenv(name.c_str());
  }

 private:
  std::vector<Variable> variables_;
};

// Who listens behind NOTIFY_SOCKET.
class Listener {
 public:
  Listener() : folder_(temporary_folder()), variables_{{"NOTIFY_SOCKET", path()}} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  [[nodiscard]] std::string path() const { return folder_.path() / "notify"; }

  // The next message, and what came with it.
  std::string receive(UniqueFd* descriptor = nullptr) const {
    std::array<char, 1000> bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec text{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); size >= 0 && header != nullptr) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      UniqueFd received(fd);
      if (descriptor != nullptr) *descriptor = std::move(received);
    }
    return size < 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

 private:
  os::TemporaryFolder folder_;
  Variables variables_;
  UniqueFd fd_;
};

TEST(ServiceHeader, says_in_the_words_of_sd_notify_what_a_service_has_to_say) {
  const Listener listener;
  EXPECT_EQ(selfbuild_ready(), 0);
  EXPECT_EQ(listener.receive(), "READY=1");
  EXPECT_EQ(selfbuild_alive(), 0);
  EXPECT_EQ(listener.receive(), "WATCHDOG=1");
  EXPECT_EQ(selfbuild_more_time(5'000'000), 0);
  EXPECT_EQ(listener.receive(), "EXTEND_TIMEOUT_USEC=5000000000");
  EXPECT_EQ(selfbuild_progress("reading", 3, 10, 2'000), 0);
  EXPECT_EQ(listener.receive(), "STATUS=reading: 3 of 10 (30%)");
  EXPECT_EQ(listener.receive(), "EXTEND_TIMEOUT_USEC=2000000");
  EXPECT_EQ(selfbuild_progress("empty", 0, 0, 0), 0);
  EXPECT_EQ(listener.receive(), "STATUS=empty: 0 of 0 (100%)");
  EXPECT_EQ(selfbuild_status(("one\nREADY=1" + std::string(300, 'x')).c_str()), 0);
  EXPECT_EQ(listener.receive(), "STATUS=one") << "a line of a status is no message of its own";
  EXPECT_EQ(selfbuild_status(std::string(300, 'x').c_str()), 0);
  EXPECT_EQ(listener.receive(), "STATUS=" + std::string(200, 'x'));
}

TEST(ServiceHeader, says_nothing_where_nobody_listens_and_tells_when_nobody_can_be_told) {
  EXPECT_EQ(selfbuild_ready(), 0);
  const Variables gone{{"NOTIFY_SOCKET", "/nonexistent/notify"}};
  EXPECT_EQ(selfbuild_ready(), -1);
  EXPECT_EQ(errno, ENOENT);
  const Variables too_long{{"NOTIFY_SOCKET", "/" + std::string(200, 'x')}};
  EXPECT_EQ(selfbuild_ready(), -1);
  EXPECT_EQ(errno, ENAMETOOLONG);
}

TEST(ServiceHeader, parks_a_descriptor_under_a_name) {
  const Listener listener;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  UniqueFd received;
  EXPECT_EQ(selfbuild_park("counter", reading.get()), 0);
  EXPECT_EQ(listener.receive(&received), "FDSTORE=1\nFDNAME=counter");
  struct stat sent{};
  struct stat got{};
  ASSERT_EQ(::fstat(reading.get(), &sent), 0);
  ASSERT_EQ(::fstat(received.get(), &got), 0);
  EXPECT_EQ(sent.st_ino, got.st_ino);
  EXPECT_EQ(selfbuild_unpark("counter"), 0);
  EXPECT_EQ(listener.receive(), "FDSTOREREMOVE=1\nFDNAME=counter");
  for (const std::string& name :
       {std::string("a:b"), std::string("a\nREADY=1"), std::string(), std::string(256, 'n')}) {
    EXPECT_EQ(selfbuild_park(name.c_str(), reading.get()), -1);
    EXPECT_EQ(selfbuild_unpark(name.c_str()), -1);
    EXPECT_EQ(errno, EINVAL);
  }
  EXPECT_EQ(listener.receive(), "");
}

TEST(ServiceHeader, counts_only_the_sockets_that_are_meant_for_this_process) {
  EXPECT_EQ(selfbuild_sockets(), 0);
  const std::string pid = std::to_string(::getpid());
  {
    const Variables variables{{"LISTEN_FDS", "2"}, {"LISTEN_PID", pid}};
    EXPECT_EQ(selfbuild_sockets(), 2);
  }
  {
    const Variables variables{{"LISTEN_FDS", "2"}, {"LISTEN_PID", "1"}, {"LISTEN_FDNAMES", "a:b"}};
    EXPECT_EQ(selfbuild_sockets(), 0);
    EXPECT_EQ(selfbuild_socket("a"), -1);
  }
  for (const char* nonsense : {"-1", "x", "99999999999999999999"}) {
    const Variables variables{{"LISTEN_FDS", nonsense}, {"LISTEN_PID", pid}};
    EXPECT_EQ(selfbuild_sockets(), 0) << nonsense;
  }
}

TEST(ServiceHeader, finds_a_descriptor_by_its_whole_name_and_makes_it_its_own) {
  // Descriptors of a child, whose numbers begin at 3 as a service's do.
  const auto child = [] {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return 10;
    ::dup2(ends[0], 20);
    ::dup2(20, 3);
    ::dup2(20, 4);
    ::dup2(20, 5);
    ::setenv("LISTEN_FDS", "3", 1);
    ::setenv("LISTEN_FDNAMES", "http:https:counter", 1);
    ::unsetenv("LISTEN_PID");
    if (selfbuild_socket("https") != 4) return 1;
    if (selfbuild_socket("http") != 3) return 2;
    if (selfbuild_socket("counter") != 5) return 3;
    if (selfbuild_socket("htt") != -1 || errno != ENOENT) return 4;
    if ((::fcntl(4, F_GETFL) & O_NONBLOCK) == 0) return 5;
    for (const int fd : {3, 4, 5}) {
      if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) return 6;
    }
    return 0;
  };
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ServiceHeader, drains_until_no_connection_is_left_or_its_patience_ends) {
  const Listener listener;
  selfbuild_drain drain{};
  EXPECT_EQ(selfbuild_may_end(&drain, 0, 0), 0);
  EXPECT_EQ(selfbuild_drain_timeout(&drain, 0), -1);
  selfbuild_begin_drain(&drain, 60'000);
  EXPECT_EQ(listener.receive(), "STOPPING=1");
  EXPECT_EQ(selfbuild_may_end(&drain, 0, 1), 0);
  EXPECT_NE(selfbuild_may_end(&drain, 0, 0), 0);
  EXPECT_GT(selfbuild_drain_timeout(&drain, 0), 0);
  const selfbuild_drain first = drain;
  selfbuild_begin_drain(&drain, 0);
  EXPECT_EQ(listener.receive(), "");
  EXPECT_EQ(drain.until_ms, first.until_ms);
  drain.until_ms = selfbuild_now_ms();
  EXPECT_NE(selfbuild_may_end(&drain, 0, 1), 0);
  EXPECT_EQ(selfbuild_may_end(&drain, 1, 0), 0) << "it has begun something";
  EXPECT_EQ(selfbuild_drain_timeout(&drain, 0), 0);
  EXPECT_EQ(selfbuild_drain_timeout(&drain, 1), -1);
  selfbuild_drain patient{};
  selfbuild_begin_drain(&patient, 4'000'000'000U);
  EXPECT_EQ(selfbuild_drain_timeout(&patient, 0), INT_MAX);
}

// One process, with the state that was left.
class Process {
 public:
  Process(const std::filesystem::path& folder, int format, std::size_t most_bytes = 1'000) {
    EXPECT_EQ(selfbuild_state_open(&state_, folder.c_str(), format, most_bytes), SQLITE_OK);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { selfbuild_state_close(&state_); }

  int save(const char* name, const std::string& value) {
    return selfbuild_state_save(&state_, name, value.data(), value.size());
  }
  // "value of format N", or SQLite's words.
  std::string load(const char* name) {
    void* bytes = nullptr;
    std::size_t size = 0;
    int format = 0;
    const int code = selfbuild_state_load(&state_, name, &bytes, &size, &format);
    if (code != SQLITE_OK) return sqlite3_errstr(code);
    std::string value(static_cast<const char*>(bytes), size);
    std::free(bytes);
    return value + " of format " + std::to_string(format);
  }
  int drop(const char* name) { return selfbuild_state_drop(&state_, name); }

 private:
  selfbuild_state state_{};
};

constexpr const char* kNothing = "unknown operation";  // sqlite3_errstr(SQLITE_NOTFOUND)

TEST(ServiceState, outlives_the_process) {
  const auto folder = temporary_folder();
  EXPECT_EQ(Process(folder.path(), 1).load("number"), kNothing);
  EXPECT_EQ(Process(folder.path(), 1).save("number", "1"), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 1).save("empty", ""), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 1).load("number"), "1 of format 1");
  EXPECT_EQ(Process(folder.path(), 1).load("empty"), " of format 1");
  EXPECT_EQ(Process(folder.path(), 1).drop("number"), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 1).load("number"), kNothing);
}

TEST(ServiceState, is_found_in_the_folder_that_the_conductor_names_and_nowhere_else) {
  selfbuild_state state{};
  EXPECT_EQ(selfbuild_state_open(&state, nullptr, 1, 100), SQLITE_CANTOPEN)
      << "it would be gone with the process";
  const auto folder = temporary_folder();
  const Variables variables{{"STATE_DIRECTORY", folder.path().string() + ":/other"}};
  ASSERT_EQ(selfbuild_state_open(&state, nullptr, 1, 100), SQLITE_OK);
  EXPECT_EQ(selfbuild_state_save(&state, "number", "2", 1), SQLITE_OK);
  selfbuild_state_close(&state);
  EXPECT_EQ(Process(folder.path(), 1).load("number"), "2 of format 1");
  std::filesystem::create_directory(folder.path() / "a:b");
  EXPECT_EQ(Process(folder.path() / "a:b", 1).save("number", "3"), SQLITE_OK);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "a:b/service_state.db"));
  EXPECT_EQ(selfbuild_state_open(&state, "/nonexistent", 1, 100), SQLITE_CANTOPEN);
  EXPECT_EQ(selfbuild_state_open(&state, folder.path().c_str(), 0, 100), SQLITE_MISUSE);
}

TEST(ServiceState, is_opened_by_many_at_once_from_the_beginning) {
  const auto folder = temporary_folder();
  std::vector<std::jthread> processes;
  for (int i = 0; i < 8; ++i) {
    processes.emplace_back([&folder, i] {
      EXPECT_EQ(Process(folder.path(), 1).save(std::to_string(i).c_str(), "x"), SQLITE_OK);
    });
  }
  processes.clear();
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Process(folder.path(), 1).load(std::to_string(i).c_str()), "x of format 1");
  }
}

TEST(ServiceState, is_given_only_to_who_knows_its_format) {
  const auto folder = temporary_folder();
  ASSERT_EQ(Process(folder.path(), 1).save("number", "one"), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 2).load("number"), "one of format 1") << "the successor";
  ASSERT_EQ(Process(folder.path(), 2).save("number", "two"), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 1).load("number"), "one of format 1") << "put back";
  ASSERT_EQ(Process(folder.path(), 1).save("number", "one more"), SQLITE_OK);
  EXPECT_EQ(Process(folder.path(), 2).load("number"), "one more of format 1") << "what was saved last";
}

TEST(ServiceState, keeps_the_three_formats_that_were_saved_last) {
  const auto folder = temporary_folder();
  for (const int format : {1, 2, 3, 4}) {
    ASSERT_EQ(Process(folder.path(), format).save("number", std::to_string(format)), SQLITE_OK);
  }
  EXPECT_EQ(Process(folder.path(), 1).load("number"), kNothing);
  EXPECT_EQ(Process(folder.path(), 2).load("number"), "2 of format 2");
}

TEST(ServiceState, refuses_more_than_it_may_hold_and_keeps_what_it_had) {
  const auto folder = temporary_folder();
  Process process(folder.path(), 1, 100);
  ASSERT_EQ(process.save("a", std::string(60, 'a')), SQLITE_OK);
  EXPECT_EQ(process.save("b", std::string(41, 'b')), SQLITE_TOOBIG);
  EXPECT_EQ(process.load("b"), kNothing);
  EXPECT_EQ(process.save("a", std::string(101, 'c')), SQLITE_TOOBIG);
  EXPECT_EQ(process.load("a"), std::string(60, 'a') + " of format 1");
  EXPECT_EQ(process.save("a", std::string(100, 'd')), SQLITE_OK) << "in place of the other";
  // Whoever is put back is not kept from saving by what its successor left.
  EXPECT_EQ(Process(folder.path(), 2, 1'000).save("a", std::string(900, 'e')), SQLITE_OK);
  EXPECT_EQ(process.save("a", std::string(100, 'f')), SQLITE_OK);
}

}  // namespace
}  // namespace sb::tests
