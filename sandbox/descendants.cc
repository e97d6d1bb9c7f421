#include "sandbox/descendants.h"

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sb::sandbox {
namespace {

struct Entry {
  pid_t pid;
  pid_t parent;
  bool ours;
};

// Static, because there is no allocation after fork; untouched, and so without memory, in every other
// process.
constexpr std::size_t kCapacity = 65'536;
constexpr std::size_t kPids = std::size_t{1} << 22U;  // PID_MAX_LIMIT of 64-bit kernels
std::array<Entry, kCapacity> table;                   // NOLINT(*-avoid-non-const-global-variables)
std::array<std::uint8_t, kPids / 8> in_tree;          // NOLINT(*-avoid-non-const-global-variables)

bool is_in_tree(pid_t pid) {
  const auto i = static_cast<std::size_t>(pid);
  return i < kPids && (in_tree[i / 8] >> (i % 8) & 1U) != 0;
}

void set_in_tree(pid_t pid, bool value) {
  const auto i = static_cast<std::size_t>(pid);
  if (i >= kPids) return;
  const auto bit = static_cast<std::uint8_t>(1U << (i % 8));
  if (value) {
    in_tree[i / 8] = static_cast<std::uint8_t>(in_tree[i / 8] | bit);
  } else {
    in_tree[i / 8] = static_cast<std::uint8_t>(in_tree[i / 8] & ~bit);
  }
}

pid_t parse_pid(const char* text) {
  pid_t pid = 0;
  for (; *text >= '0' && *text <= '9'; ++text) pid = pid * 10 + (*text - '0');
  return *text == '\0' || *text == ' ' || *text == '\n' ? pid : 0;
}

// "/proc/PID/stat" without any library formatting.
std::array<char, 32> stat_path(pid_t pid) {
  std::array<char, 32> path{};
  std::array<char, 12> digits{};
  std::size_t count = 0;
  for (; pid > 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  std::memcpy(path.data(), "/proc/", 6);
  std::size_t at = 6;
  while (count > 0) path[at++] = digits[--count];
  std::memcpy(&path[at], "/stat", 5);
  return path;
}

// The parent of a living process; 0 when it has gone or is a zombie.
pid_t parent_of(pid_t pid) {
  const int fd = ::open(stat_path(pid).data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  std::array<char, 512> text{};
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  // "pid (name) state parent …"; the name may hold anything, so count from its last parenthesis.
  for (ssize_t i = size - 1; i > 0; --i) {
    if (text[static_cast<std::size_t>(i)] != ')') continue;
    const char* rest = &text[static_cast<std::size_t>(i)] + 1;  // " S 123 …"
    if (rest[0] != ' ' || rest[1] == 'Z' || rest[1] == 'X') return 0;
    return parse_pid(rest + 3);
  }
  return 0;
}

std::size_t read_processes() {
  const int proc = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) return 0;
  std::size_t count = 0;
  alignas(dirent64) std::array<char, 32 * 1024> block{};
  while (true) {
    const ssize_t size = ::getdents64(proc, block.data(), block.size());
    if (size <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size) && count < kCapacity;) {
      const auto* entry = reinterpret_cast<const dirent64*>(&block[at]);
      const pid_t pid = parse_pid(&block[at] + offsetof(dirent64, d_name));
      at += entry->d_reclen;
      if (pid <= 1) continue;
      const pid_t parent = parent_of(pid);
      if (parent > 0) table[count++] = Entry{.pid = pid, .parent = parent, .ours = false};
    }
  }
  ::close(proc);
  return count;
}

// Fills the table and marks descendants. Parents mostly have lower numbers, so one or two passes do.
std::size_t mark_descendants() {
  const std::size_t count = read_processes();
  const pid_t self = ::getpid();
  set_in_tree(self, true);
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < count; ++i) {
      Entry& entry = table[i];
      if (entry.ours || !is_in_tree(entry.parent) || entry.pid == self) continue;
      entry.ours = true;
      set_in_tree(entry.pid, true);
      more = true;
    }
  }
  for (std::size_t i = 0; i < count; ++i) set_in_tree(table[i].pid, false);
  set_in_tree(self, false);
  return count;
}

// A grandchild's number may have been recycled since we read it: hold it by a pidfd, then look again.
void stop_unless_recycled(const Entry& entry) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, entry.pid, 0));
  if (pidfd < 0) return;
  if (parent_of(entry.pid) == entry.parent) ::syscall(SYS_pidfd_send_signal, pidfd, SIGSTOP, nullptr, 0);
  ::close(pidfd);
}

// Calls act(pid) for direct children by the kernel's own list, which is read much faster than all of /proc:
// what forks and exits at once would be gone before a slow look had ended. At most some thousands; -1 when
// the kernel has no such list, else how many there were, zombies among them.
template <typename Act>
long for_children(const Act& act) {
  const int fd = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  long count = 0;
  // "PID PID …", each with a blank behind it. A number that a block cuts off goes on in the next one.
  std::array<char, 32 * 1024> text{};
  std::size_t kept = 0;
  while (true) {
    const ssize_t size = ::read(fd, &text[kept], text.size() - 1 - kept);
    if (size <= 0) break;
    text[kept + static_cast<std::size_t>(size)] = '\0';
    const char* at = text.data();
    for (; const char* end = std::strchr(at, ' '); at = end + 1) {
      const pid_t pid = parse_pid(at);
      if (pid <= 1) continue;
      act(pid);
      ++count;
    }
    kept = std::strlen(at);
    std::memmove(text.data(), at, kept + 1);
  }
  ::close(fd);
  return count;
}

}  // namespace

unsigned long count_descendants() {
  const std::size_t count = mark_descendants();
  unsigned long living = 0;
  for (std::size_t i = 0; i < count; ++i) living += table[i].ours ? 1 : 0;
  return living;
}

long count_children() {
  return for_children([](pid_t) {});
}

void strike_descendants(bool everywhere) {
  // A child's number is not recycled before we have reaped it.
  const bool listed = for_children([](pid_t pid) { ::kill(pid, SIGKILL); }) >= 0;
  if (listed && !everywhere) return;
  const std::size_t count = mark_descendants();
  const pid_t self = ::getpid();
  for (std::size_t i = 0; i < count; ++i) {
    if (!table[i].ours) continue;
    if (table[i].parent == self) {
      ::kill(table[i].pid, SIGKILL);
    } else {
      stop_unless_recycled(table[i]);
    }
  }
}

bool strike_session(pid_t session) {
  const std::size_t count = read_processes();
  bool found = false;
  for (std::size_t i = 0; i < count; ++i) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, table[i].pid, 0));
    if (pidfd < 0) continue;
    if (::getsid(table[i].pid) == session) {
      found = true;
      ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    }
    ::close(pidfd);
  }
  return found;
}

}  // namespace sb::sandbox
