#include "keeper/keeper_link.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include "keeper/message.h"

namespace sb::keeper {
namespace {

constexpr int kPatience = 5'000;  // milliseconds; a keeper that takes nothing for so long is as good as gone

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&polled, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

os::Exit exit_from(int status) {
  if (WIFSIGNALED(status)) return {.known = true, .code = 0, .signal = WTERMSIG(status)};
  return {.known = true, .code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

KeeperLink KeeperLink::from_environment() {
  const std::string number = os::environment_variable(kVariable);
  ::unsetenv(kVariable);  // NOLINT(concurrency-mt-unsafe): at the start of main
  char* end = nullptr;
  const long fd = std::strtol(number.c_str(), &end, 10);
  if (number.empty() || *end != '\0' || fd < 0 || fd > 1'000'000) return KeeperLink(UniqueFd());
  if (::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC) != 0) return KeeperLink(UniqueFd());
  return KeeperLink(UniqueFd(static_cast<int>(fd)));
}

Status KeeperLink::say_of(const char* verb, const std::string& name, int fd) {
  if (name.empty() || name.size() > kMaxName || name.find('\0') != std::string::npos) {
    return fail(ErrorKind::usage,
                fmt::format("\"{}\" cannot name a descriptor: 1 to {} bytes", name, kMaxName));
  }
  return say(fmt::format("{} {}", verb, name), fd);
}

Status KeeperLink::say(const std::string& text, int fd) {
  if (!fd_) return {};
  Delivery delivery = Delivery::later;
  while ((delivery = send_message(fd_.get(), text.c_str(), fd)) == Delivery::later) {
    if (!wait_for(fd_.get(), POLLOUT, kPatience)) break;
  }
  if (delivery == Delivery::done) return {};
  return fail(errno_error(fmt::format("the keeper does not take \"{}\"", text)));
}

Status KeeperLink::start_next() {
  return say("next");
}
Status KeeperLink::call_off_next() {
  return say("stay");
}

Status KeeperLink::put(const std::string& name, int fd) {
  return say_of("put", name, fd);
}
Status KeeperLink::drop(const std::string& name) {
  return say_of("drop", name, -1);
}

std::vector<std::pair<std::string, UniqueFd>> KeeperLink::take_all() {
  std::vector<std::pair<std::string, UniqueFd>> held;
  Message message;
  while (connected()) {
    const Delivery delivery = receive_message(fd_.get(), message);
    if (delivery == Delivery::later) {
      (void)wait_for(fd_.get(), POLLIN, -1);
      continue;
    }
    gone_ = delivery != Delivery::done;
    const std::string_view text = message.text.data();
    if (gone_ || std::sscanf(message.text.data(), "end %d %d", &boots_, &deaths_) == 2) break;
    if (text.starts_with("have ") && message.fd) held.emplace_back(text.substr(5), std::move(message.fd));
  }
  return held;
}

std::vector<OrphanExit> KeeperLink::read_exits() {
  std::vector<OrphanExit> exits;
  Message message;
  while (connected()) {
    const Delivery delivery = receive_message(fd_.get(), message);
    if (delivery == Delivery::later) break;
    gone_ = delivery != Delivery::done;
    int pid = 0;
    int status = 0;
    if (!gone_ && std::sscanf(message.text.data(), "exited %d %d", &pid, &status) == 2) {
      exits.push_back({.pid = pid, .exit = exit_from(status)});
    }
  }
  return exits;
}

}  // namespace sb::keeper
