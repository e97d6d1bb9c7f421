#include "os/bind_filter.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file_system.h"

namespace sb::os {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;  // matches nothing
#endif

constexpr sock_filter load(std::uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
constexpr sock_filter skip_unless(std::uint32_t number, std::uint8_t count) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, count);
}
constexpr sock_filter give(std::uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

// Calls of another architecture (a 32-bit program) are let through.
constexpr std::array kProgram{
    load(offsetof(seccomp_data, arch)), skip_unless(kArchitecture, 5), load(offsetof(seccomp_data, nr)),
    skip_unless(SYS_bind, 1),           give(SECCOMP_RET_USER_NOTIF),  skip_unless(SYS_listen, 1),
    give(SECCOMP_RET_USER_NOTIF),       give(SECCOMP_RET_ALLOW),
};

int install_with(unsigned flags) {
  std::array<sock_filter, kProgram.size()> program = kProgram;
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
}

void respond(int listener, const BindCall& call, std::uint32_t flags) {
  seccomp_notif_resp response{.id = call.id, .val = 0, .error = 0, .flags = flags};
  ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);  // fails when it waits no more
}

// Of the process that this thread belongs to.
std::optional<pid_t> process_of(pid_t thread) {
  const Result<std::string> status = read_file(fmt::format("/proc/{}/status", thread), 64 * 1024);
  constexpr std::string_view kTag = "\nTgid:";
  const std::size_t at = status ? status->find(kTag) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  return static_cast<pid_t>(std::strtol(status->c_str() + at + kTag.size(), nullptr, 10));
}

}  // namespace

int install_bind_filter() {
  // A signal that is not deadly does not interrupt the call once it was received (Linux 5.19).
  constexpr std::array<unsigned, 2> kFlags{
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
      SECCOMP_FILTER_FLAG_NEW_LISTENER};
  int listener = -1;
  for (const bool without_new_privileges : {false, true}) {
    if (without_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    for (const unsigned flags : kFlags) {
      listener = install_with(flags);
      if (listener >= 0 || errno != EINVAL) break;
    }
    if (listener >= 0 || errno != EACCES) break;
  }
  return listener;
}

Status try_bind_filter() {
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno_error("cannot start a process"));
  if (pid == 0) ::_exit(install_bind_filter() >= 0 ? 0 : errno);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
  if (code == 0) return {};
  return fail(errno_error("no seccomp filter with user notification", code));
}

std::optional<BindCall> next_bind_call(int listener) {
  pollfd one{.fd = listener, .events = POLLIN, .revents = 0};
  if (::poll(&one, 1, 0) != 1 || (one.revents & POLLIN) == 0) return std::nullopt;
  seccomp_notif notification{};
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) return std::nullopt;
  return BindCall{.id = notification.id,
                  .thread = static_cast<pid_t>(notification.pid),
                  .is_listen = notification.data.nr == SYS_listen,
                  .fd = static_cast<int>(notification.data.args[0]),
                  .address = notification.data.args[1],
                  .size = static_cast<socklen_t>(notification.data.args[2])};
}

bool still_waits(int listener, const BindCall& call) {
  std::uint64_t id = call.id;
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool is_over(int listener) {
  pollfd one{.fd = listener, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & POLLIN) == 0;
}

Result<UniqueFd> socket_of(const BindCall& call) {
  const std::optional<pid_t> process = process_of(call.thread);
  if (!process) return fail(ErrorKind::not_found, "the process has gone");
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, *process, 0)));
  UniqueFd socket(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), call.fd, 0)));
  if (!socket) return fail(errno_error(fmt::format("cannot look at a socket of pid {}", *process)));
  return socket;
}

Result<std::vector<std::byte>> address_of(const BindCall& call) {
  std::vector<std::byte> bytes(std::min<std::size_t>(call.size, sizeof(sockaddr_storage)));
  const iovec here{.iov_base = bytes.data(), .iov_len = bytes.size()};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address in another process
  const iovec there{.iov_base = reinterpret_cast<void*>(call.address), .iov_len = bytes.size()};
  const ssize_t got = ::process_vm_readv(call.thread, &here, 1, &there, 1, 0);
  if (got < 0) return fail(errno_error(fmt::format("cannot read an address of thread {}", call.thread)));
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

bool is_close_on_exec(const BindCall& call) {
  const Result<std::string> info = read_file(fmt::format("/proc/{}/fdinfo/{}", call.thread, call.fd), 4096);
  constexpr std::string_view kTag = "flags:";
  const std::size_t at = info ? info->find(kTag) : std::string::npos;
  if (at == std::string::npos) return false;
  return (std::strtoul(info->c_str() + at + kTag.size(), nullptr, 8) & O_CLOEXEC) != 0;
}

void let_pass(int listener, const BindCall& call) {
  respond(listener, call, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void answer_done(int listener, const BindCall& call) {
  respond(listener, call, 0);
}

Status replace_descriptor(int listener, const BindCall& call, int fd, bool close_on_exec) {
  seccomp_notif_addfd addition{.id = call.id,
                               .flags = SECCOMP_ADDFD_FLAG_SETFD,
                               .srcfd = static_cast<std::uint32_t>(fd),
                               .newfd = static_cast<std::uint32_t>(call.fd),
                               .newfd_flags = close_on_exec ? static_cast<std::uint32_t>(O_CLOEXEC) : 0U};
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition) >= 0) return {};
  Error error = errno_error(fmt::format("cannot give thread {} a socket", call.thread));
  if (errno == ENOENT) error.kind = ErrorKind::not_found;
  return fail(std::move(error));
}

}  // namespace sb::os
