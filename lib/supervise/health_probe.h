// HealthProbe: the seam through which an instance is asked whether it is well, and its real form: one
// short-lived thread per question, so that a service that does not answer never holds up the event loop.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "os/event_loop.h"
#include "supervise/service_spec.h"

namespace sb::supervise {

// A socket's name and the address it is bound to.
struct BoundAddress {
  std::string name;
  std::string address;
  std::string source{};  // the address to ask from, when that decides who answers; see steering.h
};

// How long the answer took, and what it was.
struct Timed {
  Status status;
  std::chrono::microseconds took{0};
};

class HealthProbe {
 public:
  virtual ~HealthProbe() = default;
  // Calls answer once, later, on the event loop; with ErrorKind::environment when this host could not ask,
  // which says nothing about the service. Kinds other than http, tcp and command are never asked.
  virtual void ask(const ProbeSpec& spec, const std::vector<BoundAddress>& sockets,
                   const std::filesystem::path& directory, std::function<void(const Timed&)> answer) = 0;
};

class ThreadedProbe final : public HealthProbe {
 public:
  // loads: load() will be called, and questions wait for it.
  explicit ThreadedProbe(os::EventLoop& loop, bool loads = false) : loop_(loop), loading_(loads) {}
  // Waits for what is under way: questions for their timeouts at most, and load().
  ~ThreadedProbe() override;
  ThreadedProbe(const ThreadedProbe&) = delete;
  ThreadedProbe& operator=(const ThreadedProbe&) = delete;

  // Loads what HTTP needs, beside the work, and calls once, on the event loop. Questions wait until then,
  // those before it, too: while the dynamic linker loads, no thread can be started, and the loop would wait
  // with it.
  void load(std::function<void(const Status&)> done);
  void ask(const ProbeSpec& spec, const std::vector<BoundAddress>& sockets,
           const std::filesystem::path& directory, std::function<void(const Timed&)> answer) override;
  [[nodiscard]] bool idle() const { return threads_.empty(); }  // nothing is asked or loaded

 private:
  // Runs `work` on a thread, and what it returns on the event loop, after the thread's end. False: no thread.
  using Done = std::function<void()>;
  bool start(std::function<Done()> work);
  void loaded();

  os::EventLoop& loop_;
  std::list<std::thread> threads_;  // touched on the event loop only
  bool loading_;
  std::vector<std::function<void()>> waiting_;  // questions
};

}  // namespace sb::supervise
