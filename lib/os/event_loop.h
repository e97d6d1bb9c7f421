// EventLoop: one thread, callbacks for descriptors, timers and signals. Everything in the conductor runs on
// it. A callback may add or remove any watch, also its own, but not destroy the loop. Not thread-safe but for
// post() and stop().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"
#include "os/clock.h"

namespace sb::os {

// Ends its registration when it is destroyed. Must not outlive the loop.
class Watch {
 public:
  Watch() = default;
  explicit Watch(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  Watch(Watch&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)) {}
  Watch& operator=(Watch&& other) noexcept {
    if (this != &other) {
      reset();
      cancel_ = std::exchange(other.cancel_, nullptr);
    }
    return *this;
  }
  ~Watch() { reset(); }
  void reset() {
    if (cancel_) std::exchange(cancel_, nullptr)();
  }
  explicit operator bool() const { return static_cast<bool>(cancel_); }

 private:
  std::function<void()> cancel_;
};

// Timers alone: what logic that only waits needs; tests drive it by hand.
class Timers {
 public:
  virtual ~Timers() = default;
  // Calls once, at the earliest after delay.
  [[nodiscard]] virtual Watch after(Milliseconds delay, std::function<void()> callback) = 0;
  [[nodiscard]] virtual const Clock& clock() const = 0;
};

class EventLoop : public Timers {
 public:
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> make();

  // Level-triggered; the descriptor stays the caller's, blocking or not as it was, and must stay open while
  // watched. Sockets, pipes, pidfds, terminals, eventfds. An empty Watch (and errno) for what cannot be
  // waited for: a regular file, a closed descriptor. A hang-up or error calls both kinds. Any number of
  // watches per descriptor.
  [[nodiscard]] virtual Watch on_readable(int fd, std::function<void()> callback) = 0;
  [[nodiscard]] virtual Watch on_writable(int fd, std::function<void()> callback) = 0;
  // Blocks the signal for this thread and those it starts later, and delivers it here instead (signalfd); it
  // stays blocked when the Watch has gone. Call it before starting threads.
  [[nodiscard]] virtual Result<Watch> on_signal(int signal, std::function<void(int)> callback) = 0;
  virtual void post(std::function<void()> callback) = 0;  // from any thread
  virtual void run() = 0;                                 // until stop(), also one that came before
  virtual void stop() = 0;                                // from any thread
};

}  // namespace sb::os
