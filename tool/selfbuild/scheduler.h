// Scheduler: the worker's clock. Starts `selfbuild nightly` for every project whose schedule (selfbuild.yaml)
// has come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/home.h"

namespace sb::tool {

class Scheduler {
 public:
  // launch(repository) carries one nightly run out and returns its exit code.
  using Launch = std::function<int(const std::string& repository)>;
  // `now` seconds since the epoch: what is due is due after it. `due` is the file with what is due and has
  // not run yet, a repository per line: the run of one project may replace the worker while others wait.
  Scheduler(history::History& history, Launch launch, std::int64_t now, std::filesystem::path due);

  // Runs each project that has a matching minute since the last tick, once, however many there were: a host
  // that slept does not catch up. One after the other, since only one can run; one that found another cycle
  // running (exit code 5) has its turn again at the next tick. A project that cannot be read (repository
  // moved away, manifest broken) is passed over.
  void tick(std::int64_t now);

 private:
  void remember() const;
  history::History& history_;
  Launch launch_;
  std::int64_t checked_;
  std::filesystem::path file_;
  std::vector<std::string> due_;
};

// Ticks for as long as the process lives; call on a thread of its own, which opens the database by itself.
void run_scheduler(const os::Home& home, const os::Clock& clock);

}  // namespace sb::tool
