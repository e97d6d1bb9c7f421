#include "keeper/keeper.h"

#include <algorithm>
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
#include <unistd.h>

#include "base/unique_fd.h"
#include "keeper/memory.h"
#include "keeper/message.h"

namespace sb::keeper {
namespace {

using Clock = std::chrono::steady_clock;
using Text = decltype(Message::text);

class Keeper {
 public:
  explicit Keeper(const KeeperSpec& spec) : spec_(spec) {
    for (const std::string& word : spec.conductor) argv_.push_back(const_cast<char*>(word.c_str()));
    argv_.push_back(nullptr);
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() { ::unsetenv(kVariable); }  // the environment must not point into this object any more
  Status prepare();
  int run();

 private:
  void start();
  void wait_for_work();
  void take_signals();
  void reap();
  void conductor_ended(int status);
  void receive();
  void tell();
  bool send(const char* text, int fd);

  const KeeperSpec& spec_;
  std::vector<char*> argv_;
  Text variable_{};  // "KEEPER_FD=…", part of the environment
  sigset_t old_mask_{};
  UniqueFd signals_;
  UniqueFd link_;
  pid_t conductor_ = -1;
  Clock::time_point started_;
  Clock::time_point start_at_ = Clock::now();
  std::size_t restarts_ = 0;
  bool stopping_ = false;
  int result_ = -1;  // the code to exit with, once known
  HeldDescriptors held_;
  std::size_t told_ = 0;  // how much of held_ this conductor was handed; kMaxHeld: all but "end"; above: all
  UntoldExits exits_;
};

Status Keeper::prepare() {
  // Orphans of a dead conductor become children of this process instead of those of init.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail(errno_error("cannot become a subreaper"));
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&wanted, signal);
  ::sigprocmask(SIG_BLOCK, &wanted, &old_mask_);
  std::snprintf(variable_.data(), variable_.size(), "%s=", kVariable);
  ::putenv(variable_.data());
  signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail(errno_error("the keeper cannot receive signals"));
  return {};
}

int Keeper::run() {
  while (result_ < 0) {
    if (conductor_ < 0 && Clock::now() >= start_at_) start();
    wait_for_work();
    take_signals();
    receive();
    reap();
    tell();
  }
  return result_;
}

void Keeper::start() {
  std::array<int, 2> ends{-1, -1};
  const int type = SOCK_SEQPACKET | SOCK_CLOEXEC;
  if (::socketpair(AF_UNIX, type, 0, ends.data()) != 0) std::perror("keeper: cannot make a link");
  link_ = UniqueFd(ends[0]);
  const UniqueFd other(ends[1]);
  told_ = 0;
  std::snprintf(variable_.data(), variable_.size(), "%s=%d", kVariable, other.get());
  started_ = Clock::now();
  conductor_ = ::fork();
  if (conductor_ == 0) {
    ::fcntl(other.get(), F_SETFD, 0);
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    ::execvp(argv_[0], argv_.data());
    std::perror(argv_[0]);
    ::_exit(127);
  }
  if (conductor_ < 0) conductor_ended(W_EXITCODE(71, 0));
}

void Keeper::wait_for_work() {
  const short events = told_ <= kMaxHeld || !exits_.empty() ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 2> polled{pollfd{signals_.get(), POLLIN, 0}, pollfd{link_.get(), events, 0}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(start_at_ - Clock::now()).count();
  const int timeout = conductor_ >= 0 ? -1 : static_cast<int>(std::max(left, decltype(left){0}));
  ::poll(polled.data(), polled.size(), timeout);
}

void Keeper::take_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) continue;
    stopping_ = true;
    if (conductor_ < 0) result_ = 0;
    if (conductor_ > 0) ::kill(conductor_, static_cast<int>(info.ssi_signo));
  }
}

void Keeper::reap() {
  int status = 0;
  for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
    if (pid != conductor_) {
      exits_.push({pid, status});
      continue;
    }
    receive();  // what it put just before it died
    link_.reset();
    conductor_ended(status);
  }
}

void Keeper::conductor_ended(int status) {
  conductor_ = -1;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code == 0 || (code == kGiveUp && restarts_ == 0) || stopping_) result_ = code;
  if (result_ >= 0) return;
  const auto now = Clock::now();
  if (now - started_ >= spec_.good_run) restarts_ = 0;
  const auto delay = spec_.delays[std::min(restarts_++, spec_.delays.size() - 1)];
  start_at_ = now + delay;
  ::dprintf(2, "keeper: the conductor ended with code %d; starting it again in %lld ms\n", code,
            static_cast<long long>(delay.count()));
}

void Keeper::receive() {
  Message message;
  while (link_) {
    const Delivery delivery = receive_message(link_.get(), message);
    if (delivery == Delivery::later) return;
    if (delivery != Delivery::done) link_.reset();  // nothing more to say to each other
    const char* text = message.text.data();
    if (std::strncmp(text, "drop ", 5) == 0) held_.drop(text + 5);
    if (std::strncmp(text, "put ", 4) != 0 || !message.fd) continue;
    if (!held_.put(text + 4, std::move(message.fd))) ::dprintf(2, "keeper: no room to keep %s\n", text + 4);
  }
}

void Keeper::tell() {
  Text text{};
  for (; link_ && told_ < kMaxHeld; ++told_) {
    const Held& held = held_.places()[told_];
    std::snprintf(text.data(), text.size(), "have %s", held.name.data());
    if (held.fd && !send(text.data(), held.fd.get())) return;
  }
  if (link_ && told_ == kMaxHeld && send("end", -1)) ++told_;
  while (link_ && told_ > kMaxHeld && !exits_.empty()) {
    std::snprintf(text.data(), text.size(), "exited %d %d", exits_.front().pid, exits_.front().status);
    if (!send(text.data(), -1)) return;
    exits_.pop();
  }
}

// False: the conductor does not read just now, or is dead; once more when it does, or to the next one.
bool Keeper::send(const char* text, int fd) {
  const Delivery delivery = send_message(link_.get(), text, fd);
  if (delivery == Delivery::failed) std::perror("keeper: cannot speak to the conductor");
  return delivery == Delivery::done || delivery == Delivery::failed;
}

}  // namespace

Result<int> run_keeper(const KeeperSpec& spec) {
  if (spec.conductor.empty()) return fail(ErrorKind::bug, "the keeper was given no command");
  Keeper keeper(spec);
  SB_CHECK(keeper.prepare());
  return keeper.run();
}

}  // namespace sb::keeper
