// VersionChecks: reads the files of a version on a thread of its own, so that a large one does not hold up
// the event loop.
#pragma once

#include <filesystem>
#include <functional>
#include <thread>

#include "base/result.h"
#include "history/types.h"
#include "os/event_loop.h"

namespace sb::tool {

class VersionChecks {
 public:
  explicit VersionChecks(os::EventLoop& loop) : loop_(loop) {}
  ~VersionChecks();  // waits for one under way
  VersionChecks(const VersionChecks&) = delete;
  VersionChecks& operator=(const VersionChecks&) = delete;

  // One at a time: a version goes into service after the other. See activation::CheckVersion.
  void begin(const history::Version& version, const std::filesystem::path& directory,
             const std::function<void(Status)>& answer);
  [[nodiscard]] bool idle() const { return !thread_.joinable(); }

 private:
  os::EventLoop& loop_;
  std::thread thread_;  // touched on the event loop only
};

}  // namespace sb::tool
