// Builder: turns a stage into built files, by CMake and Ninja as subprocesses in the sandbox. What any stage
// of this home ever built comes from the build cache instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "build/timeline.h"
#include "cache/build_cache.h"
#include "cache/remote_settings.h"
#include "sandbox/envelope.h"
#include "sandbox/view.h"

namespace sb::build {

struct BuildRequest {
  std::filesystem::path source;
  std::filesystem::path build;
  std::string preset;                // a configure preset of the project, or empty
  std::vector<std::string> options;  // "-DNAME=VALUE", passed as they are
  std::vector<std::string> targets;  // empty: Ninja's default
  int jobs = 0;                      // 0: Ninja's default
  sandbox::Envelope envelope;
  std::filesystem::path log;  // everything CMake and Ninja print, appended

  // The stage's folder under a name that all stages share; source and build lie in it. Without it the path of
  // a stage may be part of what was built: others find only those results of which it is known not to be.
  std::optional<sandbox::View> view;
  // Where the build cache lies. With it a build begins with an empty build folder; without it, with what the
  // folder holds.
  std::filesystem::path cache;
  std::int64_t cache_owner = 0;  // the cycle that builds an untrusted change: nobody else gets its results
  cache::RemoteSettings
      remote;  // what other machines built; its secret is read by us, and no command sees it

  bool list_edges = false;  // the report lists the edges that ran (which costs two looks into Ninja's log),
                            // and the hits
};

// The view for a stage whose source and build lie in `folder`: the same path in every stage, on every
// machine (cache::kStagePath). Nothing where the host does not allow it; a build says so in its report.
[[nodiscard]] std::optional<sandbox::View> stage_view(const std::filesystem::path& folder);

// What a progress display gets: Ninja's counters as they move.
struct Progress {
  enum class Phase { configuring, building };
  Phase phase = Phase::building;
  int done = 0;
  int total = 0;
  std::string edge;  // "Building CXX object …"
};
using ProgressSink = std::function<void(const Progress&)>;

struct Diagnostic {
  std::string file;  // relative to the source folder when inside
  int line = 0;
  int column = 0;
  std::string severity;  // "error", "fatal error", "warning"
  std::string message;
};

struct BuildReport {
  bool configured = false;       // CMake ran; otherwise its inputs had not changed
  std::string configure_reason;  // "first time", "CMakeLists.txt changed", …
  int edges_run = 0;
  int edges_total = 0;                 // of the requested targets
  int edges_cached = 0;                // whose outputs came from the cache
  int edges_shareable = 0;             // whose results, taken or kept, builds of any stage find
  int edges_own = 0;                   // … and only builds at this path: it may be part of them
  std::chrono::milliseconds saved{0};  // what those edges took when they ran
  std::string cache_note;              // why the cache was not used, or not fully
  std::chrono::milliseconds configure_time{0};
  std::chrono::milliseconds cache_time{0};  // finding, placing and keeping outputs
  std::chrono::milliseconds keep_time{0};   // of that: keeping
  std::chrono::milliseconds ninja_time{0};
  // The longest for the cache's index, while others wrote to it.
  std::chrono::milliseconds cache_lock_wait{0};
  Timeline timeline;  // its edges only when they were asked for, and of a Ninja whose log we can read
  std::vector<cache::Hit> hits;  // when they were asked for
  std::string compiler;          // "GNU 12.2.0"
  std::string options;           // JSON object: build type, flags, preset and options as given
  std::vector<Diagnostic> warnings;
  sandbox::Grant grant;  // empty: every edge came from the cache, so that nothing had to run
};

// The grant in one line, or that nothing ran.
[[nodiscard]] std::string limits_line(const BuildReport& report);

// Without a cache: configures only when an input of the last configure changed (the CMake file API's
// cmakeFiles-v1 and the request itself say which), then runs Ninja. Errors: build_failed (what: "3 errors in
// 2 files", log: the first diagnostics, next: how to see the whole log), environment (no cmake or ninja: next
// names the command that installs them), interrupted.
[[nodiscard]] Result<BuildReport> build(const BuildRequest& request, const ProgressSink& progress,
                                        const std::stop_token& stop = {});

// The verdict on a cycle whose results nobody else got so far: kept, they are everybody's; else they are
// gone; where they were built with a remote, it gets them now. May be repeated. `cache` as in BuildRequest.
[[nodiscard]] Status settle(const std::filesystem::path& cache, std::int64_t owner, bool kept);

}  // namespace sb::build
