// A stand-in for the conductor, started by the real keeper as `fake_conductor serve`. It plays what
// FAKE_SCENE says; each run appends a line to runs in FAKE_FOLDER.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/keeper.h"
#include "keeper/keeper_link.h"
#include "os/process.h"

namespace {

using sb::UniqueFd;
using sb::keeper::KeeperLink;

std::string folder;  // NOLINT: one program, one folder

int runs() {
  std::ifstream file(folder + "/runs");
  return static_cast<int>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

int count_run() {
  std::ofstream(folder + "/runs", std::ios::app) << ::getpid() << '\n';
  return runs();
}

void note(const std::string& text) {
  std::ofstream(folder + "/notes", std::ios::app) << text << '\n';
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

UniqueFd memory_with(const std::string& text) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  if (::write(fd.get(), text.data(), text.size()) < 0) std::abort();
  return fd;
}

std::string text_of(const UniqueFd& fd) {
  std::array<char, 64> bytes{};
  const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<std::size_t>(got < 0 ? 0 : got)};
}

// Puts descriptors and dies at once; the next one must find what was left, and see it through one more death.
int hold(KeeperLink& link, int run) {
  std::map<std::string, std::string> held;
  for (const auto& [name, fd] : link.take_all()) held[name] = text_of(fd);
  for (const auto& [name, text] : held) note(fmt::format("run {} has {}={}", run, name, text));
  if (run == 1) {
    for (const char* name : {"http", "gone", "https"}) {
      if (!link.put(name, memory_with(std::string(name) + "1").get())) return 90;
    }
    if (!link.drop("gone") || !link.put("http", memory_with("http2").get())) return 91;
    if (link.put("", 0) || link.put(std::string(64, 'x'), 0)) return 92;
    die();
  }
  if (run == 2) die();
  return 0;
}

// Dies after a good start, cannot start twice, and finds its descriptor all the same.
int give_up_later(KeeperLink& link, int run) {
  if (run == 2 || run == 3) return sb::keeper::kGiveUp;
  for (const auto& [name, fd] : link.take_all())
    note(fmt::format("run {} has {}={}", run, name, text_of(fd)));
  if (run > 1) return 0;
  if (!link.put("http", memory_with("http1").get())) return 90;
  die();
}

// Leaves a child that ends when its parent is dead; the next conductor must hear how.
int orphan(KeeperLink& link, int run) {
  if (run == 1) {
    (void)link.take_all();
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return 90;
    for (const int code : {7, -SIGTERM}) {
      const pid_t child = ::fork();
      if (child != 0) {
        note(fmt::format("started {}", child));
        continue;
      }
      char byte = '\0';
      ::close(ends[1]);
      (void)!::read(ends[0], &byte, 1);  // returns when the parent and so the writing end is gone
      if (code < 0) ::kill(::getpid(), -code);
      ::_exit(code);
    }
    die();
  }
  (void)link.take_all();
  for (int exits = 0; exits < 2;) {
    pollfd polled{.fd = link.fd(), .events = POLLIN, .revents = 0};
    ::poll(&polled, 1, -1);
    for (const auto& [pid, exit] : link.read_exits()) {
      note(fmt::format("heard {} {}", pid, exit.to_string()));
      ++exits;
    }
    if (!link.connected()) return 91;
  }
  return 0;
}

// Fills the keeper's table and asks for more than it holds.
int overfill(KeeperLink& link, int run) {
  if (run > 1) {
    note(fmt::format("held {}", link.take_all().size()));
    return 0;
  }
  const UniqueFd fd = memory_with("x");
  for (std::size_t i = 0; i < sb::keeper::kMaxHeld + 10; ++i) {
    if (!link.put(fmt::format("{:063}", i), fd.get())) return 90;
  }
  die();
}

// Which program the keeper started: this one goes by several names.
int note_program(int code_of_new) {
  const std::string name = sb::os::own_executable().filename();
  note(name);
  return name == "new" ? code_of_new : 0;
}

// Answers the next connection on this socket, and those after it, with one line.
[[noreturn]] void answer(int socket) {
  const std::string text = "HTTP/1.1 200 OK\r\n\r\nthe service\n";
  while (true) {
    const UniqueFd connection(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC));
    (void)!::write(connection.get(), text.data(), text.size());
  }
}

// Has two services, of which one lives on without accepting anybody (until SIGUSR1), and cannot be started
// again before the file "mended" is there.
int leave_sockets(KeeperLink& link, int run) {
  auto held = link.take_all();
  if (run > 1) {
    if (::access((folder + "/mended").c_str(), F_OK) != 0) return 1;
    answer(held.at(0).second.get());
  }
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  for (const char* name : {"dead", "busy"}) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd.get(), any, size) != 0 || ::listen(fd.get(), 16) != 0) return 90;
    ::getsockname(fd.get(), any, &size);
    note(fmt::format("{}", ntohs(address.sin_port)));
    if (!link.put(name, fd.get())) return 91;
    if (std::string(name) == "dead") continue;
    const pid_t busy = ::fork();
    if (busy != 0) {
      note(fmt::format("{}", busy));
      continue;
    }
    int signal = 0;
    ::sigwait(&wanted, &signal);
    answer(fd.get());
  }
  die();
}

// Has the next one started beside itself, which must not be told anything before this one is done.
int begin_next(KeeperLink& link, int run) {
  if (run == 1) {
    (void)link.take_all();
    if (!link.put("http", memory_with("early").get()) || !link.start_next()) return 90;
    while (runs() < 2) ::poll(nullptr, 0, 1);
    if (!link.put("http", memory_with("late").get())) return 91;
    note("run 1 ends");
    link.close();
    return sb::keeper::kHandOver;
  }
  for (const auto& [name, fd] : link.take_all())
    note(fmt::format("run {} of {} has {}={}", run, link.boots(), name, text_of(fd)));
  return 0;
}

// The next one dies before its turn.
int begin_next_that_dies(KeeperLink& link, int run) {
  if (run == 2) die();
  (void)link.take_all();
  if (run > 2) return 0;
  if (!link.start_next()) return 90;
  while (runs() < 2) ::poll(nullptr, 0, 1);
  pollfd polled{.fd = link.fd(), .events = POLLIN, .revents = 0};
  ::poll(&polled, 1, -1);  // tells how that one ended, as of everybody
  note("run 1 ends");
  return sb::keeper::kHandOver;
}

int wait_for_signal() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  std::puts("up");
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&wanted, &signal);
  note("ended by " + sb::os::signal_name(signal));
  return 0;
}

int play(const std::string& scene) {
  const int run = count_run();
  KeeperLink link = KeeperLink::from_environment();
  if (!link.connected()) return 99;
  if (std::getenv(sb::keeper::kVariable) != nullptr) return 98;
  if (scene == "hold") return hold(link, run);
  if (scene == "give_up_later") return give_up_later(link, run);
  if (scene == "orphan") return orphan(link, run);
  if (scene == "overfill") return overfill(link, run);
  if (scene == "crash3") {
    (void)link.take_all();
    note(fmt::format("boots {} deaths {}", link.boots(), link.deaths()));
    return run <= 3 ? 1 : 0;
  }
  if (scene == "dies_later") {
    if (run > 3) return 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(550);
    while (std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, 50);
    die();
  }
  if (scene == "give_up") return sb::keeper::kGiveUp;
  if (scene == "sockets") return leave_sockets(link, run);
  if (scene == "broken") return note_program(1);
  if (scene == "hand_over") {
    (void)note_program(0);
    if (run == 1) std::filesystem::rename(folder + "/programs/next", folder + "/programs/current");
    return run == 1 ? sb::keeper::kHandOver : 0;
  }
  if (scene == "next") return begin_next(link, run);
  if (scene == "next_dies") return begin_next_that_dies(link, run);
  if (scene == "next_called_off") {
    if (run > 1) return link.take_all().empty() ? 0 : 90;
    if (!link.start_next()) return 91;
    while (runs() < 2) ::poll(nullptr, 0, 1);
    return link.call_off_next() ? 0 : 92;
  }
  if (scene == "next_twice") {
    if (run == 1) {
      for (const int started : {2, 3}) {
        if (!link.start_next()) return 91;
        while (runs() < started) ::poll(nullptr, 0, 1);
      }
      return sb::keeper::kHandOver;
    }
    (void)link.take_all();
    note(fmt::format("run {}", run));
    return 0;
  }
  if (scene == "next_waits") {
    if (run > 1) return link.take_all().empty() ? 0 : 90;
    if (!link.start_next()) return 91;
    while (runs() < 2) ::poll(nullptr, 0, 1);
    return wait_for_signal();
  }
  if (scene == "wait") return wait_for_signal();
  if (scene == "deaf") {  // never reads, closes its end, and works on
    link = KeeperLink::from_environment();
    return 0;
  }
  std::puts("crashed");
  std::fflush(stdout);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::string(argv[1]) != "serve") return 64;
  folder = sb::os::environment_variable("FAKE_FOLDER");
  return play(sb::os::environment_variable("FAKE_SCENE"));
}
