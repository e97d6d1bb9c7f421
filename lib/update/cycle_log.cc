#include "update/cycle_log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "os/file_system.h"

namespace sb::update {

CycleLog::CycleLog(const os::Home& home, std::int64_t cycle, const os::Clock& clock)
    : folder_(home.cycle(cycle)), clock_(clock) {
  // A cycle must not fail because nobody can watch it: without the folder the streams stay closed and are
  // quiet.
  (void)os::make_folders(folder_);
  events_.open(folder_ / "progress.jsonl", std::ios::app);
}

void CycleLog::say(std::string_view text) {
  write({{"event", "say"}, {"text", text}});
}

void CycleLog::progress(const build::Progress& progress) {
  const os::Milliseconds now = clock_.monotonic();
  if (progress.done != progress.total && now - last_progress_ < os::Milliseconds(100)) return;
  last_progress_ = now;
  write({{"event", "build"},
         {"phase", progress.phase == build::Progress::Phase::configuring ? "configuring" : "building"},
         {"done", progress.done},
         {"total", progress.total},
         {"edge", progress.edge}});
}

void CycleLog::heading(std::string_view text) const {
  std::ofstream(file(), std::ios::app) << fmt::format("==== {}\n", text);
}

void CycleLog::write(const Json& event) {
  events_ << dump_json(event) << '\n' << std::flush;
}

}  // namespace sb::update
