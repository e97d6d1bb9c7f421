// The caller's side of a run: start it, carry its output, say how it ended.
#include "sandbox/run.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "os/process.h"
#include "sandbox/descendants.h"
#include "sandbox/launch.h"

namespace sb::sandbox {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kForever = std::chrono::hours(24 * 365);
// The init ends a run that is over its wall time; this much later we no longer believe that the init still
// can.
constexpr milliseconds kLateInit{25'000};
constexpr milliseconds kGraceOfStop{2'000};

void kill_session(pid_t session) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  for (int round = 0; round < 100 && strike_session(session); ++round) {
    std::this_thread::sleep_for(milliseconds(1));  // for the killed to leave
  }
}

std::string value_of(const Grant& grant, std::string_view resource) {
  for (const Enforcement& item : grant) {
    if (item.resource == resource) return item.value;
  }
  return {};
}

}  // namespace

std::string Report::to_string() const {
  if (limit != LimitHit::none) {
    const std::string name = sandbox::to_string(limit);
    const std::string value = value_of(grant, name);
    return fmt::format("over its {}{}{}",
                       limit == LimitHit::wall || limit == LimitHit::cpu ? name : name + " limit",
                       value.empty() ? "" : " of ", value);
  }
  if (stopped) return "stopped";
  return ending();
}

std::string Report::ending() const {
  if (signal != 0) return "killed by " + os::signal_name(signal);
  return fmt::format("exit code {}", exit_code);
}

Grant survey(const Envelope& envelope) {
  return make_limits(envelope).grant;
}

std::vector<std::string> clean_environment(const std::string& home_folder) {
  std::string path = os::environment_variable("PATH");  // where the user's tools are
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return {"PATH=" + path, "LANG=C.UTF-8", "HOME=" + home_folder, "TMPDIR=" + home_folder, "TERM=dumb"};
}

struct Running::State {
  Launched launched;
  Envelope envelope;
  UniqueFd wake;  // readable when the stop token was used
  std::uint64_t output = 0;
  bool over_output = false;
  bool stopped = false;
  bool init_was_late = false;
  std::optional<Report> report{};

  State(Launched process, const Envelope& limits)
      : launched(std::move(process)), envelope(limits), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (report) return;
    order(Order::kill_all);
    pump(Clock::now() + kLateInit, false, [](std::string_view) {});
    if (!report) finish(std::nullopt);
  }

  void order(Order what) const {
    ::send(launched.channel.get(), &what, sizeof what, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  void pump(Clock::time_point until, bool wakeable, const OutputSink& sink);
  bool take_output(const OutputSink& sink);
  void finish(std::optional<Ending> ending);
  [[nodiscard]] LimitHit limit_of(const Ending& ending) const;
};

// Reads what is there. False at the end of the output.
bool Running::State::take_output(const OutputSink& sink) {
  std::array<char, 64 * 1024> block{};
  while (true) {
    const ssize_t size = ::read(launched.output.get(), block.data(), block.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    auto take = static_cast<std::uint64_t>(size);
    if (envelope.output_bytes) take = std::min(take, *envelope.output_bytes - output);
    output += take;
    if (take > 0 && sink) sink(std::string_view(block.data(), take));
    if (take == static_cast<std::uint64_t>(size)) return true;  // poll again: others have a say, too
    if (!over_output) order(Order::kill_all);
    over_output = true;
  }
}

// Carries output until the run has ended, `until` has passed or, when wakeable, somebody has asked to stop.
void Running::State::pump(Clock::time_point until, bool wakeable, const OutputSink& sink) {
  const auto too_late =
      envelope.wall ? launched.started + *envelope.wall + kLateInit : Clock::time_point::max();
  while (!report) {
    const auto left = std::chrono::ceil<milliseconds>(std::min(until, too_late) - Clock::now());
    std::array<pollfd, 3> fds{{{.fd = launched.channel.get(), .events = POLLIN, .revents = 0},
                               {.fd = launched.output.get(), .events = POLLIN, .revents = 0},
                               {.fd = wakeable ? wake.get() : -1, .events = POLLIN, .revents = 0}}};
    const auto wait = std::clamp<milliseconds>(left, milliseconds(0), std::chrono::hours(1));
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
    if (ready == 0 && Clock::now() >= too_late) {
      init_was_late = true;
      finish(std::nullopt);
    }
    if (ready == 0 && Clock::now() >= until) return;
    if (ready <= 0) continue;
    if (fds[1].revents != 0 && !take_output(sink)) launched.output.reset();
    if (fds[0].revents != 0) {
      Ending ending;
      const ssize_t size = ::recv(launched.channel.get(), &ending, sizeof ending, MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      // Nobody writes any more, so what is in the pipe is all there will be.
      std::uint64_t before = 0;
      do {
        before = output;
      } while (launched.output && take_output(sink) && output != before);
      finish(size == static_cast<ssize_t>(sizeof ending) ? std::optional(ending) : std::nullopt);
    }
    if (fds[2].revents != 0) return;
  }
}

LimitHit Running::State::limit_of(const Ending& ending) const {
  if (ending.limit != LimitHit::none) return ending.limit;
  if (over_output) return LimitHit::output;
  if (launched.limits.group.oom_kills() > 0) return LimitHit::memory;
  if (launched.limits.group.refused_forks() > 0) return LimitHit::processes;
  if (!envelope.cpu || !WIFSIGNALED(ending.wait_status)) return LimitHit::none;
  const bool by_limit =
      WTERMSIG(ending.wait_status) == SIGXCPU ||
      (WTERMSIG(ending.wait_status) == SIGKILL && ending.cpu_us / 1'000'000 >= envelope.cpu->count());
  return by_limit && !stopped ? LimitHit::cpu : LimitHit::none;
}

void Running::State::finish(std::optional<Ending> ending) {
  if (!ending) {
    // The init is gone or does not answer: the run has killed it, or keeps it from running. The command dies
    // with it; what else we can name is the group and the session that it led.
    ::kill(launched.init, SIGKILL);
    launched.limits.group.kill_all();
    kill_session(launched.init);
    ending = Ending{.wait_status = SIGKILL, .limit = init_was_late ? LimitHit::wall : LimitHit::none};
  }
  const ControlGroup& group = launched.limits.group;
  Report done;
  done.signal = WIFSIGNALED(ending->wait_status) ? WTERMSIG(ending->wait_status) : 0;
  done.exit_code = WIFEXITED(ending->wait_status) ? WEXITSTATUS(ending->wait_status) : 0;
  done.limit = limit_of(*ending);
  done.stopped = stopped;
  done.grant = launched.limits.grant;
  done.usage.wall = std::chrono::duration_cast<milliseconds>(Clock::now() - launched.started);
  done.usage.cpu = std::chrono::duration_cast<milliseconds>(std::max<std::chrono::nanoseconds>(
      group.cpu_time().value_or(std::chrono::nanoseconds(0)), std::chrono::microseconds(ending->cpu_us)));
  done.usage.peak_memory_bytes = group.peak_memory();
  if (done.usage.peak_memory_bytes == 0) {
    done.usage.peak_memory_bytes = static_cast<std::uint64_t>(ending->largest_kib) * 1024;
  }
  done.usage.output_bytes = output;
  done.usage.survivors_killed = ending->survivors;
  report = std::move(done);

  launched.channel.reset();  // the init may go now; it removes the group's folders
  launched.output.reset();
  while (::waitpid(launched.init, nullptr, 0) < 0 && errno == EINTR) {
  }
  launched.limits.group = ControlGroup();
}

Running::Running(std::unique_ptr<State> state) : state_(std::move(state)) {}
Running::Running(Running&&) noexcept = default;
Running& Running::operator=(Running&&) noexcept = default;
Running::~Running() = default;

pid_t Running::pid() const {
  return state_->launched.command;
}
const Grant& Running::grant() const {
  return state_->launched.limits.grant;
}

std::optional<Report> Running::wait_for(std::chrono::milliseconds timeout, const OutputSink& sink) {
  state_->pump(Clock::now() + std::min<milliseconds>(timeout, kForever), false, sink);
  return state_->report;
}

void Running::terminate() {
  if (state_->report || std::exchange(state_->stopped, true)) return;
  state_->order(Order::tell_command);
}

Report Running::stop(std::chrono::milliseconds grace, const OutputSink& sink) {
  if (state_->report) return *state_->report;
  if (!std::exchange(state_->stopped, true)) state_->order(Order::terminate);
  state_->pump(Clock::now() + grace, false, sink);
  if (!state_->report) {
    state_->order(Order::kill_all);
    state_->pump(Clock::now() + kLateInit, false, sink);
  }
  if (!state_->report) state_->finish(std::nullopt);
  return *state_->report;
}

Result<Running> start(const Command& command, const Envelope& envelope) {
  SB_TRY(Launched launched, launch(command, envelope));
  return Running(std::make_unique<Running::State>(std::move(launched), envelope));
}

Result<Report> run(const Command& command, const Envelope& envelope, const OutputSink& sink,
                   const std::stop_token& stop) {
  SB_TRY(Running running, start(command, envelope));
  const int wake = running.state_->wake.get();
  const std::stop_callback on_stop(stop, [wake] { ::eventfd_write(wake, 1); });
  running.state_->pump(Clock::now() + kForever, true, sink);
  if (running.state_->report) return *running.state_->report;
  return running.stop(kGraceOfStop, sink);
}

}  // namespace sb::sandbox
