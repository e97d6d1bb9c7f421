// Questioner: asks a service the same thing over and over, one question after the other, until it is
// destroyed. On the event loop.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "os/event_loop.h"
#include "supervise/health_probe.h"
#include "supervise/service_spec.h"

namespace sb::activation {

// What a service is asked: what its health check asks, or its readiness check, or whether its first socket
// accepts. None for one that has no address.
[[nodiscard]] std::optional<supervise::ProbeSpec> question_for(const supervise::ServiceSpec& spec);

struct Question {
  supervise::ProbeSpec probe;
  std::vector<supervise::BoundAddress> sockets;
  std::filesystem::path directory;
};

class Questioner {
 public:
  using What = std::function<std::optional<Question>()>;       // none: nothing can be asked now
  using Heard = std::function<void(const supervise::Timed&)>;  // may destroy the questioner
  Questioner(os::Timers& timers, supervise::HealthProbe& probe, os::Milliseconds pace, What what,
             Heard heard);
  void set_pace(os::Milliseconds pace) { pace_ = pace; }  // from an answer to the next question

 private:
  void ask();
  void ask_later();

  os::Timers& timers_;
  supervise::HealthProbe& probe_;
  os::Milliseconds pace_;
  What what_;
  Heard heard_;
  os::Watch next_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sb::activation
