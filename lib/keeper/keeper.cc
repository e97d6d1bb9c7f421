// conductor-keeper: starts the conductor, starts it again when it dies, keeps descriptors for it meanwhile
// (listening sockets, so that no connection is refused), and reaps the services that a dead conductor left
// behind, to tell the next one how they ended. When one dies over and over it goes back to the one before.
// It knows nothing else, so that it has no reason to die itself, and is linked statically, so that no library
// of the host can take it along. See keeper.h for what it says to the conductor.
//
//   conductor-keeper LOCK FOLDER PROGRAM [PAUSE]
//
// LOCK: an open descriptor whose lock says that a keeper runs. FOLDER, PROGRAM: see programs.h. PAUSE: the
// longest, in ms (2000). Ends with the conductor's code 0, or kGiveUp at first, or a signal (passed on).
#include "keeper/keeper.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "keeper/last_resort.h"
#include "keeper/message.h"
#include "keeper/programs.h"

namespace sb::keeper {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kUnavailable = 4;  // as `conductor run` documents it
constexpr std::chrono::minutes kGoodRun{1};
constexpr milliseconds kUp{500};  // lived longer than a start takes: the next one is started at once
constexpr std::array kPauses{milliseconds(0), milliseconds(100), milliseconds(500), milliseconds::max()};

class Keeper {
 public:
  Keeper(const Programs& programs, milliseconds pause) : programs_(programs), longest_pause_(pause) {}

  int run() {
    // Orphans of a dead conductor become children of this process instead of those of init.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) result_ = kUnavailable;
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&wanted, signal);
    ::sigprocmask(SIG_BLOCK, &wanted, &old_mask_);
    signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) result_ = kUnavailable;
    while (result_ < 0) {
      const bool is_its_turn = next_ > 0 && !link_ && !stopping_;
      if (is_its_turn) deaths_ = 0;
      if (is_its_turn || (conductor_ < 0 && Clock::now() >= start_at_)) start();
      wait_for_work();
      take_signals();
      receive();
      reap();
      tell();
    }
    if (next_ > 0) ::kill(next_, SIGKILL);
    return result_;
  }

 private:
  void start() {
    if (stand_in_ > 0) ::kill(std::exchange(stand_in_, -1), SIGTERM);
    conductor_ = std::exchange(next_, -1);
    link_ = std::move(next_link_);
    if (conductor_ < 0) conductor_ = programs_.start(link_, old_mask_);
    told_ = 0;
    ++boots_;
    started_ = Clock::now();
    if (conductor_ < 0) ended(W_EXITCODE(kUnavailable, 0));
  }

  void wait_for_work() {
    const short events = told_ <= kMaxHeld || !exits_.empty() ? POLLIN | POLLOUT : POLLIN;
    std::array<pollfd, 2> polled{pollfd{signals_.get(), POLLIN, 0}, pollfd{link_.get(), events, 0}};
    const auto left = std::chrono::ceil<milliseconds>(start_at_ - Clock::now()).count();
    const int timeout = conductor_ >= 0 ? -1 : static_cast<int>(std::max(left, decltype(left){0}));
    ::poll(polled.data(), polled.size(), timeout);
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      stopping_ = true;
      if (conductor_ < 0) result_ = 0;
      if (conductor_ > 0) ::kill(conductor_, static_cast<int>(info.ssi_signo));
    }
  }

  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid == stand_in_) stand_in_ = -1;
      if (pid == next_) next_ = -1;
      if (pid != conductor_) {
        exits_.push({pid, status});
        continue;
      }
      receive();  // what it put just before it died
      ended(status);
    }
  }

  void ended(int status) {
    link_.reset();
    conductor_ = -1;
    start_at_ = Clock::now();
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code == 0 || stopping_) result_ = code == kHandOver ? 0 : code;
    if (code == kGiveUp && boots_ == 1) result_ = kUnavailable;
    if (code == kHandOver || start_at_ - started_ >= kGoodRun) deaths_ = 0;
    if (code == kHandOver || result_ >= 0) return;
    const auto young = std::min(kPauses[std::min(deaths_, kPauses.size() - 1)], longest_pause_);
    const auto pause = start_at_ - started_ < kUp ? young : milliseconds(0);
    start_at_ += pause;
    ::dprintf(2, "keeper: the conductor ended with code %d; starting it again in %ld ms\n", code,
              pause.count());
    if (++deaths_ % kMaxDeaths == 0 && programs_.go_back()) deaths_ = 0;
    if (deaths_ >= kMaxDeaths) stand_in_ = start_stand_in(held_);
  }

  void receive() {
    Message message;
    while (link_) {
      const Delivery delivery = receive_message(link_.get(), message);
      if (delivery == Delivery::later) return;
      if (delivery != Delivery::done) link_.reset();  // nothing more to say to each other
      const char* text = message.text.data();
      if (std::strncmp(text, "drop ", 5) == 0) held_.drop(text + 5);
      const bool is_next = std::strcmp(text, "next") == 0;
      if ((is_next || std::strcmp(text, "stay") == 0) && next_ > 0) ::kill(std::exchange(next_, -1), SIGKILL);
      if (is_next) next_ = programs_.start(next_link_, old_mask_);
      if (std::strncmp(text, "put ", 4) != 0 || !message.fd) continue;
      if (!held_.put(text + 4, std::move(message.fd))) ::dprintf(2, "keeper: no room to keep %s\n", text + 4);
    }
  }

  void tell() {
    for (; link_ && told_ < kMaxHeld; ++told_) {
      const Held& held = held_.places()[told_];
      if (held.fd && !send(held.fd.get(), "have %s", held.name.data())) return;
    }
    if (link_ && told_ == kMaxHeld && send(-1, "end %u %zu", boots_, deaths_)) ++told_;
    for (; link_ && told_ > kMaxHeld && !exits_.empty(); exits_.pop()) {
      if (!send(-1, "exited %d %d", exits_.front().pid, exits_.front().status)) return;
    }
  }

  // False: the conductor does not read just now, or is dead; once more when it does, or to the next one.
  template <typename... Words>
  bool send(int fd, const char* format, Words... words) {
    decltype(Message::text) text{};
    std::snprintf(text.data(), text.size(), format, words...);
    const Delivery delivery = send_message(link_.get(), text.data(), fd);
    if (delivery == Delivery::failed) std::perror("keeper: cannot speak to the conductor");
    return delivery == Delivery::done || delivery == Delivery::failed;
  }

  const Programs& programs_;
  milliseconds longest_pause_;
  sigset_t old_mask_{};
  UniqueFd signals_;
  UniqueFd link_;
  pid_t conductor_ = -1;
  pid_t next_ = -1;  // was started ahead of its time, and waits until it is told something
  UniqueFd next_link_;
  pid_t stand_in_ = -1;  // answers for services that have died
  Clock::time_point started_;
  Clock::time_point start_at_ = Clock::now();
  unsigned boots_ = 0;
  std::size_t deaths_ = 0;  // in a row
  bool stopping_ = false;
  int result_ = -1;  // the code to exit with, once known
  HeldDescriptors held_;
  std::size_t told_ = 0;  // how much of held_ this conductor has; kMaxHeld: all but "end"; above: all
  UntoldExits exits_;
};

}  // namespace
}  // namespace sb::keeper

int main(int argc, char** argv) {
  if (argc < 4) return 64;  // EX_USAGE
  ::fcntl(static_cast<int>(std::strtol(argv[1], nullptr, 10)), F_SETFD, FD_CLOEXEC);
  const std::chrono::milliseconds pause(argc > 4 ? std::strtol(argv[4], nullptr, 10) : 2'000);
  const sb::keeper::Programs programs(argv[2], argv[3]);
  return sb::keeper::Keeper(programs, pause).run();
}
