#include "sandbox/launch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

namespace sb::sandbox {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START, sd_listen_fds(3)
constexpr std::size_t kMaxSockets = 64;
constexpr std::string_view kListenPid = "LISTEN_PID=";

std::string_view variable(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return std::string_view(entry).substr(name.size() + 1);
    }
  }
  return {};
}

Result<std::string> find_program(const Command& command) {
  const std::string& name = command.argv.front();
  if (name.find('/') != std::string::npos) return name;
  std::string_view folders = variable(command.environment, "PATH");
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    std::string candidate = fmt::format("{}/{}", folders.substr(0, end), name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return fail(ErrorKind::environment, fmt::format("program {} not found in the PATH of the sandbox", name));
}

// What the plan points to, and the descriptors that it names.
struct Prepared {
  std::string program;
  std::string directory;
  std::vector<std::string> argv_text;
  std::vector<std::string> environment_text;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<UniqueFd> owned;  // copies with numbers above the sockets' final ones
  std::vector<int> sockets;
  std::vector<int> entries;
  std::vector<int> keep;
  std::vector<const char*> folders;
  std::optional<ViewPlan> view;
  InitPlan plan;
};

// A copy with a number that no socket of the command will take; -1 stays -1.
Result<int> lift(Prepared& prepared, std::size_t sockets, int fd) {
  if (fd < 0) return -1;
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstSocket + static_cast<int>(sockets)));
  if (!copy) return fail(errno_error("cannot copy a descriptor for the sandbox"));
  prepared.owned.push_back(std::move(copy));
  prepared.keep.push_back(prepared.owned.back().get());
  return prepared.keep.back();
}

void lay_out_text(const Command& command, std::string program, Prepared& prepared) {
  prepared.program = std::move(program);
  prepared.directory = command.directory.empty() ? "." : command.directory;
  prepared.argv_text = command.argv;
  prepared.environment_text = command.environment;
  if (!command.sockets.empty()) {
    prepared.environment_text.push_back(fmt::format("LISTEN_FDS={}", command.sockets.size()));
    prepared.environment_text.push_back("LISTEN_FDNAMES=" + join(command.socket_names, ":"));
    prepared.environment_text.push_back(std::string(kListenPid) +
                                        std::string(12, '\0'));  // filled in by the command
  }
  for (std::string& text : prepared.argv_text) prepared.argv.push_back(text.data());
  for (std::string& text : prepared.environment_text) prepared.environment.push_back(text.data());
  if (!command.sockets.empty()) prepared.plan.listen_pid = prepared.environment.back() + kListenPid.size();
  prepared.argv.push_back(nullptr);
  prepared.environment.push_back(nullptr);
  prepared.plan.program = prepared.program.c_str();
  prepared.plan.directory = prepared.directory.c_str();
  if (prepared.view) prepared.plan.view = &*prepared.view;
  prepared.plan.argv = prepared.argv.data();
  prepared.plan.environment = prepared.environment.data();
}

struct Ends {
  UniqueFd channel;
  UniqueFd start;
  UniqueFd output;
};

Status lay_out_descriptors(const Command& command, const ControlGroup& group, const Ends& child,
                           Prepared& prepared) {
  InitPlan& plan = prepared.plan;
  const std::size_t count = command.sockets.size();
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!null || !self) return fail(errno_error("cannot prepare the sandbox"));
  SB_TRY(plan.channel, lift(prepared, count, child.channel.get()));
  SB_TRY(plan.start, lift(prepared, count, child.start.get()));
  SB_TRY(plan.output, lift(prepared, count, child.output.get()));
  SB_TRY(plan.null, lift(prepared, count, null.get()));
  SB_TRY(plan.caller, lift(prepared, count, self.get()));
  SB_TRY(plan.kill_switch, lift(prepared, count, group.kill_switch()));
  SB_TRY(plan.cpu_meter, lift(prepared, count, group.cpu_meter()));
  for (const int socket : command.sockets) {
    SB_TRY(const int fd, lift(prepared, count, socket));
    prepared.sockets.push_back(fd);
  }
  for (const int entry : group.entries()) {
    SB_TRY(const int fd, lift(prepared, count, entry));
    prepared.entries.push_back(fd);
  }
  std::ranges::sort(prepared.keep);
  plan.sockets = prepared.sockets;
  plan.group_entries = prepared.entries;
  plan.keep = prepared.keep;
  return {};
}

void lay_out_limits(const Limits& limits, const Envelope& envelope,
                    std::chrono::steady_clock::time_point started, Prepared& prepared) {
  for (const std::string& folder : limits.group.folders()) prepared.folders.push_back(folder.c_str());
  prepared.plan.group_folders = prepared.folders;
  prepared.plan.process_limits = limits.process_limits;
  prepared.plan.process_limit = limits.counted_processes;
  prepared.plan.cpu_limit_ns = limits.counted_cpu.count();
  if (!envelope.wall) return;
  // steady_clock is CLOCK_MONOTONIC, by which the init measures.
  const auto deadline = started + *envelope.wall;
  prepared.plan.deadline_ns = std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count());
}

Error start_error(const StartNote& note, const Command& command) {
  const std::string program = command.argv.empty() ? std::string() : command.argv.front();
  switch (note.kind) {
    case StartNote::Kind::program:
      return errno_error(fmt::format("cannot start {}", program), note.value);
    case StartNote::Kind::directory:
      return errno_error(fmt::format("cannot start {} in folder {}", program, command.directory), note.value);
    case StartNote::Kind::group:
      return errno_error("cannot enter the control group of the sandbox", note.value);
    case StartNote::Kind::view:
      return errno_error(
          fmt::format("cannot show {} as {} to {}", command.view->folder, command.view->at, program),
          note.value);
    case StartNote::Kind::limits:
      return errno_error("cannot take the limits of the sandbox", note.value);
    default:
      return errno_error(fmt::format("cannot prepare the sandbox for {}", program), note.value);
  }
}

// Blocks all signals for a moment, so that no handler of the caller runs in the forked init.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

pid_t fork_init(const InitPlan& plan) {
  const SignalsBlocked blocked;
  const pid_t pid = ::fork();
  if (pid == 0) run_init(plan);
  return pid;
}

// Until every holder of the other end is gone: the command has become its program, or has failed to.
std::vector<StartNote> read_start_notes(int fd) {
  std::vector<StartNote> notes;
  while (true) {
    StartNote note{};
    const ssize_t size = ::read(fd, &note, sizeof note);
    if (size < 0 && errno == EINTR) continue;
    if (size != static_cast<ssize_t>(sizeof note)) return notes;
    notes.push_back(note);
  }
}

}  // namespace

Result<Launched> launch(const Command& command, const Envelope& envelope) {
  if (command.argv.empty()) return fail(ErrorKind::usage, "a sandboxed command needs at least a program");
  if (command.sockets.size() > kMaxSockets)
    return fail(ErrorKind::usage, "too many sockets for a sandboxed command");
  SB_TRY(std::string program, find_program(command));

  Launched launched;
  Ends child;
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return fail(errno_error("cannot create the channel of a sandbox"));
  }
  launched.channel = UniqueFd(pair[0]);
  child.channel = UniqueFd(pair[1]);
  if (::pipe2(pair.data(), O_CLOEXEC) != 0) return fail(errno_error("cannot create a pipe"));
  const UniqueFd start(pair[0]);
  child.start = UniqueFd(pair[1]);
  if (::pipe2(pair.data(), O_CLOEXEC) != 0) return fail(errno_error("cannot create a pipe"));
  launched.output = UniqueFd(pair[0]);
  child.output = UniqueFd(pair[1]);
  ::fcntl(launched.output.get(), F_SETFL, O_NONBLOCK);

  launched.limits = make_limits(envelope);
  std::optional<Prepared> prepared(std::in_place);
  if (command.view) {
    SB_TRY(prepared->view, ViewPlan::make(*command.view));
  }
  lay_out_text(command, std::move(program), *prepared);
  SB_CHECK(lay_out_descriptors(command, launched.limits.group, child, *prepared));
  launched.started = std::chrono::steady_clock::now();
  lay_out_limits(launched.limits, envelope, launched.started, *prepared);

  launched.init = fork_init(prepared->plan);
  if (launched.init < 0) return fail(errno_error("cannot start a sandbox"));
  prepared.reset();
  child = Ends();

  std::optional<Error> error;
  for (const StartNote& note : read_start_notes(start.get())) {
    if (note.kind == StartNote::Kind::pid) {
      launched.command = note.value;
    } else {
      error = start_error(note, command);
    }
  }
  if (!error && launched.command < 0)
    error = make_error(ErrorKind::environment, "the sandbox died while starting");
  if (!error) return launched;
  launched.channel.reset();  // the init ends with it
  while (::waitpid(launched.init, nullptr, 0) < 0 && errno == EINTR) {
  }
  return fail(std::move(*error));
}

}  // namespace sb::sandbox
