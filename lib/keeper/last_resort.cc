#include "keeper/last_resort.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace sb::keeper {
namespace {

constexpr std::size_t kVisitors = 64;     // at a time; the oldest one goes when there is another
constexpr long kLookAgain = 500'000'000;  // ns
constexpr std::string_view kAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nCache-Control: no-store\r\n"
    "Content-Type: text/plain\r\nContent-Length: 62\r\n\r\n"
    "This service is down, and what restarts it does not start now\n";

using Sockets = std::array<int, kMaxHeld>;  // -1: not one to answer on

struct Visitor {
  UniqueFd fd{};
  bool answered = false;
};

bool is_tcp_listener(int fd) {
  int domain = 0;
  int listens = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         (domain == AF_INET || domain == AF_INET6) &&
         ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

pid_t parent_of(const char* pid) {
  std::array<char, 300> path{};
  std::snprintf(path.data(), path.size(), "/proc/%s/stat", pid);
  std::FILE* file = std::fopen(path.data(), "re");
  int parent = -1;
  if (file != nullptr && std::fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1) parent = -1;
  if (file != nullptr) std::fclose(file);
  return parent;
}

void drop_those_of(const char* pid, Sockets& deserted) {
  std::array<char, 300> path{};
  std::snprintf(path.data(), path.size(), "/proc/%s/fd", pid);
  DIR* open = ::opendir(path.data());
  if (open == nullptr && errno == EACCES && parent_of(pid) == ::getppid()) deserted.fill(-1);
  while (const dirent* entry = open == nullptr ? nullptr : ::readdir(open)) {
    struct stat there{};
    if (::fstatat(::dirfd(open), entry->d_name, &there, 0) != 0 || !S_ISSOCK(there.st_mode)) continue;
    for (int& fd : deserted) {
      struct stat ours{};
      if (fd >= 0 && ::fstat(fd, &ours) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
        fd = -1;
      }
    }
  }
  if (open != nullptr) ::closedir(open);
}

// The TCP sockets that only the keeper has open.
Sockets find_deserted(const HeldDescriptors& held) {
  Sockets deserted;
  deserted.fill(-1);
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return deserted;
  for (std::size_t i = 0; i < kMaxHeld; ++i) {
    const int fd = held.places()[i].fd.get();
    if (fd >= 0 && is_tcp_listener(fd)) deserted[i] = fd;
  }
  while (const dirent* process = ::readdir(processes)) {
    const auto pid = static_cast<pid_t>(std::strtol(process->d_name, nullptr, 10));
    if (pid > 0 && pid != ::getpid() && pid != ::getppid()) drop_those_of(process->d_name, deserted);
  }
  ::closedir(processes);
  return deserted;
}

// Once the request begins to arrive: clients may take an answer to nothing for a mistake. What comes is read
// until the client has closed, since closing with bytes unread would destroy the answer on its way.
void answer(Visitor& visitor) {
  std::array<char, 4096> bytes{};
  const ssize_t got = ::recv(visitor.fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0 && !std::exchange(visitor.answered, true)) {
    (void)::send(visitor.fd.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    ::shutdown(visitor.fd.get(), SHUT_WR);
  }
  if (got <= 0) visitor = {};
}

volatile std::sig_atomic_t ending = 0;

class StandIn {
 public:
  // One wait and what came of it. False when nothing came for a while.
  bool turn() {
    for (std::size_t i = 0; i < kMaxHeld; ++i)
      polled_[i] = {.fd = deserted[i], .events = POLLIN, .revents = 0};
    for (std::size_t i = 0; i < kVisitors; ++i) {
      polled_[kMaxHeld + i] = {.fd = visitors_[i].fd.get(), .events = POLLIN, .revents = 0};
    }
    sigset_t none;
    ::sigemptyset(&none);
    const timespec patience{.tv_sec = 0, .tv_nsec = kLookAgain};
    const int ready = ::ppoll(polled_.data(), polled_.size(), &patience, &none);
    if (ready <= 0) return ready < 0;
    for (std::size_t i = 0; i < kVisitors; ++i) {
      if (polled_[kMaxHeld + i].revents != 0) answer(visitors_[i]);
    }
    for (std::size_t i = 0; i < kMaxHeld; ++i) {
      if (polled_[i].revents == 0) continue;
      UniqueFd fd(::accept4(polled_[i].fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) visitors_[next_++ % kVisitors] = Visitor{.fd = std::move(fd), .answered = false};
    }
    return true;
  }
  [[nodiscard]] bool has_visitors() const {
    return std::ranges::any_of(visitors_, [](const Visitor& one) { return one.fd.valid(); });
  }

  Sockets deserted{};

 private:
  std::array<Visitor, kVisitors> visitors_;
  std::array<pollfd, kMaxHeld + kVisitors> polled_{};
  std::size_t next_ = 0;
};

[[noreturn]] void answer_for_the_dead(const HeldDescriptors& held, pid_t keeper) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(0);  // it was faster
  struct sigaction action{};
  action.sa_handler = [](int) { ending = 1; };
  ::sigaction(SIGTERM, &action, nullptr);  // comes through in ppoll alone
  StandIn stand_in;
  stand_in.deserted = find_deserted(held);
  while (ending == 0) {
    if (!stand_in.turn()) stand_in.deserted = find_deserted(held);
  }
  // A conductor is being started: takes nobody in any more, and goes when those that are in have their
  // answer.
  stand_in.deserted.fill(-1);
  for (const Held& one : held.places()) ::close(one.fd.get());
  ::alarm(1);
  while (stand_in.has_visitors()) stand_in.turn();
  ::_exit(0);
}

}  // namespace

pid_t start_stand_in(const HeldDescriptors& held) {
  const pid_t keeper = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) answer_for_the_dead(held, keeper);
  return pid;
}

}  // namespace sb::keeper
