// EventLoop on epoll(7), level-triggered, one registration per descriptor.
//
// Why not Boost.Asio: its async_wait makes the open file description non-blocking (FIONBIO), and that
// description is shared with whoever else holds the descriptor: a service that inherited a listening socket,
// a terminal, a pidfd. It also wants to own what it waits for. A folder that needs Asio (HTTP with Beast) can
// run both on one thread: an epoll descriptor is itself readable when something in it is ready.
#include "os/event_loop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace sb::os {
namespace {

using Callback = std::function<void()>;

class EpollLoop final : public EventLoop {
 public:
  EpollLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;
  // Callbacks may own Watches of this loop; once the token is gone, cancelling them does nothing.
  ~EpollLoop() override { alive_.reset(); }

  Watch on_readable(int fd, Callback callback) override { return watch(fd, EPOLLIN, std::move(callback)); }
  Watch on_writable(int fd, Callback callback) override { return watch(fd, EPOLLOUT, std::move(callback)); }
  Result<Watch> on_signal(int signal, std::function<void(int)> callback) override;
  Watch after(Milliseconds delay, Callback callback) override;
  const Clock& clock() const override { return clock_; }
  void post(Callback callback) override;
  void run() override;
  void stop() override;
  Status start();

 private:
  struct Listener {
    std::uint64_t id;
    std::uint32_t wanted;  // EPOLLIN or EPOLLOUT
    Callback callback;
    bool cancelled = false;
  };
  // All who watch one descriptor. A new one is made when the last listener has gone, so that an event that
  // was fetched before a descriptor's number was closed and reused finds nobody.
  struct Source {
    int fd = -1;
    std::uint32_t registered = 0;
    std::vector<std::shared_ptr<Listener>> listeners;
  };
  struct SignalListener {
    int signal = 0;
    std::shared_ptr<std::function<void(int)>> callback;
  };
  using TimerKey =
      std::pair<Milliseconds, std::uint64_t>;  // when it is due; the order in which they were set

  Watch watch(int fd, std::uint32_t wanted, Callback callback);
  bool register_source(std::uint64_t source_id, Source& source);
  void unwatch(std::uint64_t source_id, std::uint64_t listener_id);
  void dispatch(const epoll_event& event);
  void run_due_timers();
  void run_posted();
  void read_signals();
  bool set_signals();
  int timeout_ms();
  Watch watch_that(Callback cancel) {
    return Watch([token = std::weak_ptr(alive_), cancel = std::move(cancel)] {
      if (!token.expired()) cancel();
    });
  }

  SystemClock clock_;
  UniqueFd epoll_;
  UniqueFd wake_;
  UniqueFd signals_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Source> sources_;
  std::map<int, std::uint64_t> source_of_;
  std::map<TimerKey, Callback> timers_;
  std::map<std::uint64_t, SignalListener> signal_listeners_;
  Watch wake_watch_;
  Watch signal_watch_;
  std::atomic<bool> stop_ = false;
  std::mutex posted_mutex_;
  std::vector<Callback> posted_;
};

Status EpollLoop::start() {
  wake_watch_ = on_readable(wake_.get(), [this] {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  });
  if (!wake_watch_) return fail(errno_error("cannot watch an eventfd"));
  return {};
}

bool EpollLoop::register_source(std::uint64_t source_id, Source& source) {
  std::uint32_t wanted = 0;
  for (const auto& listener : source.listeners) wanted |= listener->wanted;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = source_id;
  const int operation = source.registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_.get(), operation, source.fd, &event) != 0) return false;
  source.registered = wanted;
  return true;
}

Watch EpollLoop::watch(int fd, std::uint32_t wanted, Callback callback) {
  auto [known, is_new] = source_of_.try_emplace(fd, next_id_);
  const std::uint64_t source_id = known->second;
  if (is_new) sources_[next_id_++].fd = fd;
  const std::uint64_t id = next_id_++;
  Source& source = sources_[source_id];
  source.listeners.push_back(std::make_shared<Listener>(Listener{id, wanted, std::move(callback)}));
  if (!register_source(source_id, source)) {
    const int reason = errno;
    unwatch(source_id, id);
    errno = reason;
    return {};
  }
  return watch_that([this, source_id, id] { unwatch(source_id, id); });
}

void EpollLoop::unwatch(std::uint64_t source_id, std::uint64_t listener_id) {
  const auto found = sources_.find(source_id);
  if (found == sources_.end()) return;
  Source& source = found->second;
  const auto listener =
      std::ranges::find(source.listeners, listener_id, [](const auto& each) { return each->id; });
  if (listener == source.listeners.end()) return;
  // Kept until the end of this function: destroying a callback may cancel further watches.
  const std::shared_ptr<Listener> removed = std::move(*listener);
  removed->cancelled = true;
  source.listeners.erase(listener);
  if (!source.listeners.empty()) {
    (void)register_source(source_id, source);
    return;
  }
  if (source.registered != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.fd, nullptr);
  source_of_.erase(source.fd);
  sources_.erase(found);
}

Result<Watch> EpollLoop::on_signal(int signal, std::function<void(int)> callback) {
  const std::uint64_t id = next_id_++;
  signal_listeners_[id] = {signal, std::make_shared<std::function<void(int)>>(std::move(callback))};
  if (!set_signals()) {
    Error error = errno_error(fmt::format("cannot receive signal {}", signal));
    signal_listeners_.erase(id);
    return fail(std::move(error));
  }
  return watch_that([this, id] {
    const auto removed = signal_listeners_.extract(id);
    (void)set_signals();
  });
}

// The signals stay blocked after their last watch has gone: one that is pending would otherwise strike now.
bool EpollLoop::set_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const auto& [id, listener] : signal_listeners_) {
    if (::sigaddset(&wanted, listener.signal) != 0) return false;
  }
  if (const int code = ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr); code != 0) {
    errno = code;
    return false;
  }
  const int fd = ::signalfd(signals_.get(), &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return false;
  if (!signals_) {
    signals_ = UniqueFd(fd);
    signal_watch_ = on_readable(fd, [this] { read_signals(); });
  }
  return static_cast<bool>(signal_watch_);
}

void EpollLoop::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    std::vector<std::uint64_t> ids;
    for (const auto& [id, listener] : signal_listeners_) {
      if (listener.signal == signal) ids.push_back(id);
    }
    for (const std::uint64_t id : ids) {
      const auto found = signal_listeners_.find(id);
      if (found == signal_listeners_.end()) continue;
      const auto callback = found->second.callback;
      (*callback)(signal);
    }
  }
}

Watch EpollLoop::after(Milliseconds delay, Callback callback) {
  const TimerKey key{clock_.monotonic() + std::max(delay, Milliseconds{0}), next_id_++};
  timers_.emplace(key, std::move(callback));
  return watch_that([this, key] { const auto removed = timers_.extract(key); });
}

void EpollLoop::run_due_timers() {
  const Milliseconds now = clock_.monotonic();
  const std::uint64_t limit =
      next_id_;  // what these timers set waits for the next round, or I/O would starve
  while (!timers_.empty() && timers_.begin()->first.first <= now && timers_.begin()->first.second < limit) {
    const auto due = timers_.extract(timers_.begin());
    due.mapped()();
  }
}

void EpollLoop::post(Callback callback) {
  {
    const std::scoped_lock lock(posted_mutex_);
    posted_.push_back(std::move(callback));
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EpollLoop::run_posted() {
  std::vector<Callback> callbacks;
  {
    const std::scoped_lock lock(posted_mutex_);
    callbacks.swap(posted_);
  }
  for (const Callback& callback : callbacks) callback();
}

void EpollLoop::dispatch(const epoll_event& event) {
  const std::uint64_t source_id =
      event.data.u64;  // a copy: epoll_event is packed, its members are not aligned
  const auto found = sources_.find(source_id);
  if (found == sources_.end()) return;
  const std::vector<std::shared_ptr<Listener>> listeners = found->second.listeners;
  for (const auto& listener : listeners) {
    // Errors and hang-ups go to all: the next read or write tells what happened.
    const bool concerned = (event.events & (listener->wanted | EPOLLERR | EPOLLHUP)) != 0;
    if (concerned && !listener->cancelled) listener->callback();
  }
}

int EpollLoop::timeout_ms() {
  {
    const std::scoped_lock lock(posted_mutex_);
    if (!posted_.empty()) return 0;
  }
  if (timers_.empty()) return -1;
  const Milliseconds left = timers_.begin()->first.first - clock_.monotonic();
  return static_cast<int>(std::clamp<Milliseconds::rep>(left.count(), 0, 3'600'000));
}

void EpollLoop::run() {
  std::array<epoll_event, 64> events{};
  while (!stop_.exchange(false)) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms());
    for (int i = 0; i < count; ++i) dispatch(events[static_cast<std::size_t>(i)]);
    run_due_timers();
    run_posted();
  }
}

void EpollLoop::stop() {
  stop_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::make() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return fail(errno_error("cannot create an event loop"));
  auto loop = std::make_unique<EpollLoop>(std::move(epoll), std::move(wake));
  SB_CHECK(loop->start());
  return loop;
}

}  // namespace sb::os
