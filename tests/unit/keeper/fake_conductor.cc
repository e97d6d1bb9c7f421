// A stand-in for the conductor, and the keeper above it: `fake_conductor keep FOLDER SCENE` runs a keeper
// whose conductor is `fake_conductor play FOLDER SCENE`. Each run of a scene appends a line to FOLDER/runs.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "keeper/keeper.h"
#include "keeper/keeper_link.h"
#include "os/process.h"

namespace {

using sb::UniqueFd;
using sb::keeper::KeeperLink;

std::string folder;  // NOLINT: one program, one folder

int count_run() {
  std::ofstream(folder + "/runs", std::ios::app) << ::getpid() << '\n';
  std::ifstream runs(folder + "/runs");
  int count = 0;
  for (std::string line; std::getline(runs, line);) ++count;
  return count;
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
  if (scene == "crash3") return run <= 3 ? 1 : 0;
  if (scene == "give_up") return sb::keeper::kGiveUp;
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
  if (argc != 4) return 64;
  folder = argv[2];
  if (std::string(argv[1]) == "play") return play(argv[3]);
  using std::chrono::milliseconds;
  sb::keeper::KeeperSpec spec;
  spec.conductor = {argv[0], "play", argv[2], argv[3]};
  const milliseconds last(std::string(argv[3]) == "crash_for_ever" ? 3'600'000 : 30);
  spec.delays = {milliseconds{0}, milliseconds{10}, last, last};
  if (std::string(argv[3]) == "missing") spec.conductor[0] = "/does/not/exist";
  const sb::Result<int> code = sb::keeper::run_keeper(spec);
  return code ? *code : 70;
}
