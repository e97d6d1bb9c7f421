// What an update costs beyond the build itself: one-file changes of this repository, each built by `selfbuild
// update` and by plain Ninja in a warm folder of the same commit, configured the same way.
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/json.h"
#include "bench/records.h"
#include "support/files.h"
#include "support/installation.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::Finished;
using tests::Installation;

[[noreturn]] void give_up(const std::string& what, const Finished& finished) {
  fmt::print(stderr, "{} ended with {}:\n{}\n", what, finished.code, finished.all());
  std::exit(1);
}

Finished must(const std::string& what, Finished finished) {
  if (finished.code != 0) give_up(what, finished);
  return finished;
}

// The peer: a checkout and a build folder that stay warm, and nothing else.
class WarmFolder {
 public:
  WarmFolder(const Installation& host, std::vector<std::string> targets)
      : host_(host), targets_(std::move(targets)) {
    must("git clone", host_.git({"clone", "--quiet", ".", tree().string()}));
    must("cmake", run({"cmake", "--preset", "release", "-S", tree().string(), "-B", build().string()}));
    (void)ninja();
  }
  struct Run {
    int edges = 0;
    double seconds = 0;
  };
  Run ninja() const {
    std::vector<std::string> argv{"ninja", "-C", build().string()};
    argv.insert(argv.end(), targets_.begin(), targets_.end());
    const auto begin = std::chrono::steady_clock::now();
    const Finished finished = must("ninja", run(argv));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    // "[7/7] Linking …": the last counter is the number of edges that ran.
    const std::size_t at = finished.out.rfind("\n[");
    return {.edges = at == std::string::npos ? 0 : std::atoi(finished.out.c_str() + at + 2),
            .seconds = took.count()};
  }
  void apply(const fs::path& patch) const {
    must("git apply", tests::run_program({"git", "apply", patch.string()}, tree(), host_.environment));
  }

 private:
  [[nodiscard]] fs::path tree() const { return host_.scratch() / "warm"; }
  [[nodiscard]] fs::path build() const { return host_.scratch() / "warm-build"; }
  [[nodiscard]] Finished run(const std::vector<std::string>& argv) const {
    return tests::run_program(argv, tree(), host_.environment);
  }
  const Installation& host_;
  std::vector<std::string> targets_;
};

int run(int argc, char** argv) {
  Installation host;
  must("git clone", tests::run_program({"git", "-c", "safe.directory=*", "clone", "--quiet",
                                        SELFBUILD_SOURCE_DIR, host.repository().string()},
                                       host.scratch(), host.environment));
  fmt::print(stderr, "building the first version and the warm folder …\n");
  must("selfbuild update", host.selfbuild({"update"}));
  const WarmFolder warm(
      host, {"selfbuild", "unit_base", "unit_artifacts", "unit_history", "unit_update", "unit_tool"});

  Records records("incremental");
  for (const char* file : {"lib/update/live.cc", "lib/history/types.cc", "tool/selfbuild/screen.cc"}) {
    const fs::path patch = host.patch(
        file, "namespace sb::", fmt::format("// Touched by a benchmark: {}\nnamespace sb::", file));
    fmt::print(stderr, "{} …\n", file);
    warm.apply(patch);
    const WarmFolder::Run peer = warm.ninja();
    ::sync();  // what the peer wrote is not for our first fsync to carry to the disk
    const Finished finished =
        must("selfbuild update", host.selfbuild({"update", "--json", "--patch", patch.string()}));
    const Json update = parse_json(finished.out).value_or(Json::object());
    const int edges = update.value("edges_run", -1);
    const auto ms = [&](const char* phase) {
      return update.at("timings").value(fmt::format("{}_ms", phase), 0.0);
    };
    const double outside = (ms("stage") + ms("configure") + ms("store") + ms("other")) / 1000;
    fmt::print(stderr, "  stage {:.0f} ms, configure {:.0f} ms, store {:.0f} ms, other {:.0f} ms\n",
               ms("stage"), ms("configure"), ms("store"), ms("other"));
    const double allowed = 0.1 * peer.seconds + 1;
    records.add({.row = fmt::format("{} edges", file),
                 .value = static_cast<double>(edges),
                 .unit = "edges",
                 .peer = fmt::format("ninja, warm folder: {}", peer.edges),
                 .ratio = edges > 0 ? static_cast<double>(peer.edges) / edges : 0});
    records.add({.row = fmt::format("{} outside", file),
                 .value = outside,
                 .unit = "s",
                 .peer = fmt::format("10% of ninja's {:.1f} s + 1 s: {:.2f}", peer.seconds, allowed),
                 .ratio = outside > 0 ? allowed / outside : 0});
    // Both sides take the change back, so that every change is one file.
    must("git checkout",
         tests::run_program({"git", "checkout", "--quiet", "."}, host.scratch() / "warm", host.environment));
    (void)warm.ninja();
    must("selfbuild build", host.selfbuild({"build"}));
  }
  return records.finish(argc, argv);
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
