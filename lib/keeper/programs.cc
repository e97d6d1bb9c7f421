#include "keeper/programs.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>

namespace sb::keeper {

Programs::Programs(const char* folder, char* fallback)
    : folder_(::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), fallback_(fallback) {
  std::snprintf(current_.data(), current_.size(), "%s/%s", folder, kCurrent);
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
