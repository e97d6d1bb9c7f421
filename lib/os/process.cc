#include "os/process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "os/bind_filter.h"
#include "os/file_system.h"
#include "os/unix_socket.h"

namespace sb::os {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START, sd_listen_fds(3)

UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// Everything the child needs, laid out before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> environment_text;
  std::vector<char*> environment;
  std::array<char, 32> listen_pid{"LISTEN_PID="};
  std::string directory;
};

Result<std::string> find_program(const SpawnSpec& spec) {
  const std::string& name = spec.argv.front();
  if (name.find('/') != std::string::npos) return name;
  for (const std::string& variable : spec.environment) {
    if (!variable.starts_with("PATH=")) continue;
    std::string_view folders = std::string_view(variable).substr(5);
    while (!folders.empty()) {
      const std::size_t end = folders.find(':');
      std::string candidate = fmt::format("{}/{}", folders.substr(0, end), name);
      if (::access(candidate.c_str(), X_OK) == 0) return candidate;
      if (end == std::string_view::npos) break;
      folders.remove_prefix(end + 1);
    }
  }
  return fail(ErrorKind::environment, fmt::format("program {} not found in PATH", name));
}

Result<Prepared> prepare(const SpawnSpec& spec) {
  if (spec.argv.empty()) return fail(ErrorKind::usage, "a command needs at least a program");
  Prepared prepared;
  SB_TRY(prepared.program, find_program(spec));
  for (const std::string& argument : spec.argv) prepared.argv.push_back(const_cast<char*>(argument.c_str()));
  prepared.argv.push_back(nullptr);
  prepared.environment_text = spec.environment;
  if (!spec.sockets.empty()) {
    prepared.environment_text.push_back(fmt::format("LISTEN_FDS={}", spec.sockets.size()));
    prepared.environment_text.push_back("LISTEN_FDNAMES=" + join(spec.socket_names, ":"));
  }
  for (std::string& variable : prepared.environment_text) prepared.environment.push_back(variable.data());
  prepared.directory = spec.directory.string();
  return prepared;
}

// The child's pid in decimal behind "LISTEN_PID=", without any library call.
void write_listen_pid(std::array<char, 32>& variable) {
  std::array<char, 12> digits{};
  std::size_t count = 0;
  for (pid_t pid = ::getpid(); pid > 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  std::size_t at = std::strlen("LISTEN_PID=");
  while (count > 0) variable[at++] = digits[--count];
  variable[at] = '\0';
}

// Sends one descriptor, and closes it. Its message has an empty text. Async-signal-safe.
void hand_over(int socket, int fd) {
  char none = 0;
  iovec text{.iov_base = &none, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd);
}

// Puts sockets at 3, 4, … and the error pipe behind them, whatever numbers they had; closes all the rest.
bool arrange_descriptors(const SpawnSpec& spec, int& error_pipe) {
  const int count = static_cast<int>(spec.sockets.size());
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int output = spec.output >= 0 ? spec.output : null;
  if (null < 0) return false;
  // First out of the way of the final numbers, then down to them.
  const int base = kFirstSocket + count + 1;
  const int high_pipe = ::fcntl(error_pipe, F_DUPFD_CLOEXEC, base);
  const int high_output = ::fcntl(output, F_DUPFD_CLOEXEC, base);
  const int high_null = ::fcntl(null, F_DUPFD_CLOEXEC, base);
  if (high_pipe < 0 || high_output < 0 || high_null < 0) return false;
  std::array<int, 64> high{};
  if (count > static_cast<int>(high.size())) return false;
  for (int i = 0; i < count; ++i) {
    high[static_cast<std::size_t>(i)] =
        ::fcntl(spec.sockets[static_cast<std::size_t>(i)], F_DUPFD_CLOEXEC, base);
    if (high[static_cast<std::size_t>(i)] < 0) return false;
  }
  for (int i = 0; i < count; ++i) {
    if (::dup2(high[static_cast<std::size_t>(i)], kFirstSocket + i) < 0) return false;
  }
  error_pipe = kFirstSocket + count;
  if (::dup3(high_pipe, error_pipe, O_CLOEXEC) < 0) return false;
  if (::dup2(high_null, 0) < 0 || ::dup2(high_output, 1) < 0 || ::dup2(high_output, 2) < 0) return false;
  return ::close_range(static_cast<unsigned>(error_pipe) + 1, ~0U, 0) == 0;
}

[[noreturn]] void run_child(const SpawnSpec& spec, Prepared& prepared, int error_pipe, int bind_calls,
                            pid_t parent) {
  const auto give_up = [&](int code) {
    (void)!::write(error_pipe, &code, sizeof code);
    ::_exit(127);
  };
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (spec.new_session) ::setsid();
  if (spec.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // the parent died before the call above
  }
  if (bind_calls >= 0) {
    const int listener = install_bind_filter();
    if (listener >= 0) hand_over(bind_calls, listener);
  }
  if (!arrange_descriptors(spec, error_pipe)) give_up(errno);
  if (!prepared.directory.empty() && ::chdir(prepared.directory.c_str()) != 0) give_up(errno);
  if (!spec.sockets.empty()) write_listen_pid(prepared.listen_pid);
  execute(prepared.program.c_str(), prepared.argv.data(), prepared.environment.data());
  give_up(errno);
  ::_exit(127);
}

}  // namespace

void execute(const char* program, char* const argv[], char* const environment[]) {
  constexpr int kTries = 100;
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 10'000'000};
  for (int i = 0; i < kTries; ++i) {
    ::execve(program, argv, environment);
    if (errno != ETXTBSY) return;
    ::nanosleep(&kPause, nullptr);
  }
  errno = ETXTBSY;
}

Result<Process> spawn(const SpawnSpec& spec) {
  SB_TRY(Prepared prepared, prepare(spec));
  if (!spec.sockets.empty()) prepared.environment.push_back(prepared.listen_pid.data());
  prepared.environment.push_back(nullptr);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno_error("cannot create a pipe"));
  UniqueFd error_reader(ends[0]);
  UniqueFd error_writer(ends[1]);
  UniqueFd listener_reader;
  UniqueFd listener_writer;
  if (spec.ask_for_binds) {
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return fail(errno_error("cannot create a pair of sockets"));
    }
    listener_reader = UniqueFd(ends[0]);
    listener_writer = UniqueFd(ends[1]);
  }

  const pid_t parent = ::getpid();
  // Shares our memory until it calls exec, so that none of it has to be copied: a crash is mended sooner.
  // What the child changes is in `prepared`, which nobody reads afterwards. No signal may find our handlers
  // in it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions): the child only calls what it may
  if (pid == 0) run_child(spec, prepared, error_writer.get(), listener_writer.get(), parent);
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(errno_error("cannot start a process", fork_error));
  error_writer.reset();
  listener_writer.reset();

  int code = 0;
  ssize_t got = 0;
  do {
    got = ::read(error_reader.get(), &code, sizeof code);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof code)) {
    ::waitpid(pid, nullptr, 0);
    return fail(errno_error(fmt::format("cannot start {}", prepared.program), code));
  }
  Process process{.pid = pid, .start_ticks = start_ticks_of(pid).value_or(0), .pidfd = open_pidfd(pid)};
  if (!process.pidfd) return fail(errno_error(fmt::format("cannot watch {}", prepared.program)));
  if (listener_reader) {
    Result<Message> sent = receive_with_fds(listener_reader.get());
    if (sent && !sent->fds.empty()) process.bind_calls = std::move(sent->fds.front());
  }
  return process;
}

std::optional<std::uint64_t> start_ticks_of(pid_t pid) {
  const Result<std::string> stat = read_file(fmt::format("/proc/{}/stat", pid), 64 * 1024);
  if (!stat) return std::nullopt;
  // The second field is the name in parentheses and may hold anything: count from its last ")".
  const std::size_t end_of_name = stat->rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(*stat).substr(end_of_name + 2);
  if (rest.starts_with('Z') || rest.starts_with('X')) return std::nullopt;  // dead already
  for (int field = 3; field < 22; ++field) rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
  return std::strtoull(std::string(rest).c_str(), nullptr, 10);
}

std::optional<Process> adopt(pid_t pid, std::uint64_t start_ticks) {
  UniqueFd pidfd = open_pidfd(pid);  // before the comparison: from here on the pid cannot be reused unseen
  if (!pidfd || start_ticks_of(pid) != start_ticks) return std::nullopt;
  return Process{.pid = pid, .start_ticks = start_ticks, .pidfd = std::move(pidfd)};
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

std::string Exit::to_string() const {
  if (!known) return "ended";
  if (signal != 0) return "killed by " + signal_name(signal);
  return fmt::format("exit code {}", code);
}

std::optional<Exit> reap(const Process& process) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | WNOHANG) == 0) {
    if (info.si_pid == 0) return std::nullopt;
    if (info.si_code == CLD_EXITED) return Exit{.known = true, .code = info.si_status, .signal = 0};
    return Exit{.known = true, .code = 0, .signal = info.si_status};
  }
  // Not our child: gone when its start time cannot be found any more.
  if (start_ticks_of(process.pid) == process.start_ticks) return std::nullopt;
  return Exit{};
}

void send_signal(const Process& process, int signal, bool whole_group) {
  // The group lives on while any member does; it is only signalled while the leader's pid is known to be
  // ours.
  if (whole_group && ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), 0, nullptr, 0) == 0) {
    ::kill(-process.pid, signal);
  }
  ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), signal, nullptr, 0);
}

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here calls setenv
  return value == nullptr ? "" : value;
}

std::vector<std::string> environment_of(std::span<const char* const> names) {
  std::vector<std::string> variables;
  for (const char* name : names) {
    const std::string value = environment_variable(name);
    if (!value.empty()) variables.push_back(fmt::format("{}={}", name, value));
  }
  return variables;
}

fs::path own_executable() {
  std::error_code code;
  return fs::read_symlink("/proc/self/exe", code);
}

std::vector<pid_t> with_descendants(pid_t process) {
  std::vector<pid_t> all{process};
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::error_code code;
    for (fs::directory_iterator it(fmt::format("/proc/{}/task", all[i]), code), end; !code && it != end;
         it.increment(code)) {
      std::ifstream children(it->path() / "children");
      for (pid_t child = 0; children >> child;) all.push_back(child);
    }
  }
  return all;
}

std::uint64_t resident_bytes(pid_t process) {
  static const auto kPage = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t pages = 0;
  for (const pid_t one : with_descendants(process)) {
    std::ifstream statm(fmt::format("/proc/{}/statm", one));
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    if (statm >> size >> resident) pages += resident;
  }
  return pages * kPage;
}

}  // namespace sb::os
