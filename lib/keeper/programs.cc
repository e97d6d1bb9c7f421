#include "keeper/programs.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sb::keeper {

Programs::Programs(const char* folder, char* fallback)
    : folder_(::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), fallback_(fallback) {
  std::snprintf(current_.data(), current_.size(), "%s/%s", folder, kCurrent);
}

pid_t Programs::start(UniqueFd& link, const sigset_t& signals) const {
  std::array ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::perror("keeper");
  link = UniqueFd(ends[0]);
  const UniqueFd other(ends[1]);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "%d", other.get());
  ::setenv(kVariable, number.data(), 1);
  ::fcntl(other.get(), F_SETFD, 0);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  execute();
}

void Programs::execute() const {
  std::array<char*, 3> words{fallback_, const_cast<char*>("serve"), nullptr};
  ::execv(current_.data(), words.data());
  if (errno != ENOENT) std::perror(current_.data());
  ::execvp(fallback_, words.data());
  std::perror(fallback_);
  ::_exit(127);
}

bool Programs::go_back() const {
  const int folder = folder_.get();
  if (::faccessat(folder, kPrevious, X_OK, 0) != 0) return false;
  ::unlinkat(folder, kRejected, 0);
  ::linkat(folder, kCurrent, folder, kRejected, 0);  // only for people: a power cut may lose it
  const bool moved = ::renameat(folder, kPrevious, folder, kCurrent) == 0;
  ::fsync(folder);
  if (moved) ::dprintf(2, "keeper: it died over and over; going back to the conductor before\n");
  return moved;
}

}  // namespace sb::keeper
