// CycleLog: what a cycle lets people see while it runs. Two files under state/cycles/c-N: `log`, everything
// that CMake, Ninja, the tests and the candidate printed; and `progress.jsonl`, one JSON object per event,
// which `selfbuild update` follows. Neither is a durable record: that is the journal's work.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/json.h"
#include "build/builder.h"
#include "os/clock.h"
#include "os/home.h"

namespace sb::update {

class CycleLog {
 public:
  CycleLog(const os::Home& home, std::int64_t cycle, const os::Clock& clock);

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "log"; }
  // {"event":"say","text":…}: one line that a person should see.
  void say(std::string_view text);
  // {"event":"build","done":…,"total":…,"edge":…}: at most ten a second, and always the last one.
  void progress(const build::Progress& progress);
  // A heading in the log file, so that its parts can be told apart.
  void heading(std::string_view text) const;

 private:
  void write(const Json& event);
  std::filesystem::path folder_;
  std::ofstream events_;
  const os::Clock& clock_;
  os::Milliseconds last_progress_{-1000};
};

}  // namespace sb::update
