// A small project that is built on several "machines": each has a cache folder of its own, all see the stage
// at one path. Two objects (one reads a generated header), an archive and a program.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "cache/build_cache.h"
#include "cache/remote_tier.h"
#include "os/file_system.h"

namespace sb::cache {

inline constexpr int kEdges = 5;
inline constexpr int kFiles = 5;  // that they make

struct Built {
  Taken taken;
  int ran = 0;  // edges that Ninja ran
  RemoteUse use;
  std::map<std::string, std::string> files;  // bytes by name
};

struct Machine {
  std::filesystem::path cache;
  std::int64_t now_ms = 1'763'600'000'000;
  std::int64_t owner = 0;
};

class RemoteBuild {
 public:
  RemoteBuild();
  [[nodiscard]] Machine machine(const std::string& name) const;
  // Empties the build folder and builds. `before_keep` runs after Ninja. Aborts the test program on an error.
  [[nodiscard]] Built build(const Machine& machine, const RemoteSettings& settings,
                            const RemoteLimits& limits = patient(),
                            const std::function<void()>& before_keep = {}) const;
  void edit(const std::string& file, const std::string& text) const;
  [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }

  // For a machine that is busy with other tests.
  [[nodiscard]] static RemoteLimits patient();

 private:
  os::TemporaryFolder folder_;
};

}  // namespace sb::cache
