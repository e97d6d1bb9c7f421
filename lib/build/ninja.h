// Ninja as a subprocess: runs the edges that are out of date and reports them as they finish.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "build/builder.h"
#include "build/timeline.h"
#include "build/tool_runner.h"
#include "ninja/build_log.h"

namespace sb::build {

// One line that Ninja prints for an edge under our NINJA_STATUS.
struct EdgeLine {
  int finished = 0;
  int total = 0;
  std::string_view text;
};
inline constexpr std::string_view kNinjaStatus = "NINJA_STATUS=[%f/%t/%r] ";
[[nodiscard]] std::optional<EdgeLine> parse_edge_line(std::string_view line);

struct NinjaRun {
  int edges_run = 0;
  bool ran_cmake = false;  // Ninja itself found build.ninja out of date, e.g. because a glob's files changed
  std::vector<Diagnostic> warnings;
  std::map<std::string, std::string, std::less<>> printed;  // by an edge's description: what it printed
  sandbox::Grant grant;
};

// Progress goes up only. Errors: build_failed.
[[nodiscard]] Result<NinjaRun> run_ninja(const BuildRequest& request, ToolRunner& tools,
                                         const ProgressSink& progress);

// What Ninja ran, by its log: as it is when this is made, and as it is afterwards. Where the request does not
// ask for it, and where the log cannot be read, no edge is found.
class NinjaLog {
 public:
  explicit NinjaLog(const BuildRequest& request);
  void add_edges(Timeline::Clock::time_point start, Timeline& timeline) const;

 private:
  const BuildRequest& request_;
  std::optional<ninja::BuildLog> before_;
};

// How many commands a build of the requested targets has in all. Loads build.ninja once more (9 ms with 480
// edges), which is why the caller keeps the number with the configuration.
[[nodiscard]] Result<int> count_edges(const BuildRequest& request, ToolRunner& tools);

}  // namespace sb::build
