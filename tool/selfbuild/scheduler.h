// Scheduler: the worker's clock. Starts `selfbuild nightly` for every project whose schedule (selfbuild.yaml)
// has come.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/home.h"

namespace sb::tool {

class Scheduler {
 public:
  // launch(repository) starts one nightly run and returns at once.
  using Launch = std::function<void(const std::string& repository)>;
  // `now` seconds since the epoch: what is due is due after it.
  Scheduler(history::History& history, Launch launch, std::int64_t now)
      : history_(history), launch_(std::move(launch)), checked_(now) {}

  // Launches each project that has a matching minute since the last tick, once, however many there were: a
  // host that slept does not catch up. A project that cannot be read (repository moved away, manifest broken)
  // is passed over.
  void tick(std::int64_t now);

 private:
  history::History& history_;
  Launch launch_;
  std::int64_t checked_;
};

// Ticks for as long as the process lives; call on a thread of its own, which opens the database by itself.
void run_scheduler(const os::Home& home, const os::Clock& clock);

}  // namespace sb::tool
