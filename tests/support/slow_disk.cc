// The calls that support/held_syncs.h takes over.
#include "support/slow_disk.h"

#include <atomic>
#include <cstdlib>

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "support/held_syncs.h"

namespace {

std::atomic<int> all_syncs = 0;
thread_local int syncs_of_thread = 0;

void wait_for_the_disk() {
  ++all_syncs;
  ++syncs_of_thread;
  const char* held = std::getenv(sb::tests::kHeldSyncs);
  constexpr timespec kMillisecond{.tv_sec = 0, .tv_nsec = 1'000'000};
  while (held != nullptr && ::access(held, F_OK) == 0) ::nanosleep(&kMillisecond, nullptr);
}

}  // namespace

namespace sb::tests {

int syncs() {
  return all_syncs;
}
int syncs_of_this_thread() {
  return syncs_of_thread;
}

}  // namespace sb::tests

extern "C" {

int fsync(int fd) {
  wait_for_the_disk();
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  wait_for_the_disk();
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

}  // extern "C"
