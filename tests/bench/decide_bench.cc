// What it costs to decide, before Ninja runs, which edges of a fresh stage need not run: time and memory for
// graphs of four sizes, every edge a hit. The whole of it counts: reading build.ninja, listing the stage,
// reading every source, looking up every edge. The peer is Ninja, finding out in the finished folder that
// nothing is to do, which reads no source. Leaves 700,000 files until its end. Both sides are whole
// processes; the bar is 2 s and 1 GiB for 100,000 edges, and linear growth.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "cache/build_cache.h"
#include "ninja/build_log.h"
#include "ninja/deps_log.h"
#include "ninja/manifest.h"
#include "os/file_system.h"
#include "support/files.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kEdgesOfTarget = 25;
constexpr int kHeaders = 1'000;
constexpr int kHeadersOfSource = 20;
constexpr int kRuns = 3;
constexpr double kBarMs = 2'000;
constexpr double kBarMib = 1'024;
constexpr std::string_view kPath = "PATH=/usr/bin:/bin";

void set_time(const fs::path& path, std::int64_t ns) {
  const timespec time{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  const timespec times[] = {time, time};
  (void)::utimensat(AT_FDCWD, path.c_str(), times, 0);
}

std::int64_t time_of(const fs::path& path) {
  struct stat info{};
  (void)::stat(path.c_str(), &info);
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// A project as CMake describes it, whose edges never ran: what they make is written as they would.
class Project {
 public:
  Project(fs::path folder, int edges) : folder_(std::move(folder)), targets_(edges / kEdgesOfTarget) {}

  [[nodiscard]] fs::path source() const { return folder_ / "stage/source"; }
  [[nodiscard]] fs::path build() const { return folder_ / "stage/build"; }

  // Not deleted: ext4 makes new files slowly after many were.
  void put_aside() const { fs::rename(folder_ / "stage", folder_ / "first"); }

  void write_sources() const {
    for (int i = 0; i < kHeaders; ++i)
      write_old(header(i), fmt::format("#pragma once\nstruct Part{} {{\n  int value;\n}};\n", i));
    each_object([&](int target, int i, const std::string&) {
      std::string text;
      for (int header = 0; header < kHeadersOfSource; ++header)
        text += fmt::format("#include \"h{}.h\"\n", number_of_header(target, i, header));
      write_old(source() / fmt::format("part{}/source_{}.cc", target, i),
                text + fmt::format("int f{}_{}() {{ return 1; }}\n", target, i));
    });
  }

  void configure() const {
    fs::create_directories(build());
    std::ofstream out(build() / "build.ninja");
    out << "rule cc\n  command = /usr/bin/c++ $DEFINES $INCLUDES $FLAGS -MD -MT $out -MF $DEP_FILE -o $out "
           "-c $in\n"
           "  depfile = $DEP_FILE\n  deps = gcc\n  description = Building CXX object $out\n"
           "rule ar\n  command = /usr/bin/cmake -E rm -f $TARGET_FILE && /usr/bin/ar qc $TARGET_FILE $in && "
           "/usr/bin/ranlib $TARGET_FILE\n";
    std::string objects;
    each_object([&](int target, int i, const std::string& object) {
      fmt::print(
          out,
          "build {0}: cc {1}/part{2}/source_{3}.cc\n  DEFINES = -DPART_{2} -DNDEBUG\n  DEP_FILE = {0}.d\n"
          "  FLAGS = -O2 -g -std=gnu++20 -fPIC -Wall -Wextra\n  INCLUDES = -I{1}/include\n",
          object, source().string(), target, i);
      objects += " " + object;
      if (i + 1 < kEdgesOfTarget) return;
      fmt::print(out, "build libpart{0}.a: ar{1}\n  TARGET_FILE = libpart{0}.a\n", target, objects);
      objects.clear();
    });
    out.close();
    set_time(build() / "build.ninja", os::kSourceTimeNs);
  }

  // What Ninja leaves behind.
  void finish() const {
    const ninja::Manifest manifest = must(ninja::Manifest::load(build()));
    ninja::BuildLog log;
    ninja::DepsLog deps;
    each_object([&](int target, int i, const std::string& object) {
      tests::write(build() / object, fmt::format("object {} {}\n", target, i));
      ninja::DepsLog::Deps found{.mtime_ns = time_of(build() / object), .paths = {}};
      found.paths.push_back(deps.intern((source() / fmt::format("part{}/source_{}.cc", target, i)).string()));
      for (int header = 0; header < kHeadersOfSource; ++header)
        found.paths.push_back(deps.intern(this->header(number_of_header(target, i, header)).string()));
      deps.set(object, std::move(found));
    });
    for (int target = 0; target < targets_; ++target)
      tests::write(build() / fmt::format("libpart{}.a", target), fmt::format("archive {}\n", target));
    for (ninja::EdgeId edge = 0; edge < manifest.edge_count(); ++edge) {
      const std::string output(manifest.path(manifest.edge(edge).explicit_outputs.front()));
      log.entries[output] = {.start_ms = 0,
                             .end_ms = 1'000,
                             .mtime_ns = time_of(build() / output),
                             .command_hash = ninja::command_hash(manifest.logged_command(edge))};
    }
    if (!ninja::save(log, build()) || !deps.save(build())) {
      fmt::print(stderr, "cannot write Ninja's logs\n");
      std::exit(1);
    }
  }

 private:
  template <typename Visit>
  void each_object(Visit visit) const {
    for (int target = 0; target < targets_; ++target) {
      for (int i = 1; i < kEdgesOfTarget; ++i)
        visit(target, i, fmt::format("CMakeFiles/part{0}.dir/source_{1}.cc.o", target, i));
    }
  }
  [[nodiscard]] fs::path header(int number) const { return source() / fmt::format("include/h{}.h", number); }
  static int number_of_header(int target, int i, int header) {
    return (target * 7 + i * 13 + header * 31) % kHeaders;
  }
  static void write_old(const fs::path& path, const std::string& text) {
    tests::write(path, text);
    set_time(path, os::kSourceTimeNs);
  }

  fs::path folder_;
  int targets_;
};

cache::BuildCacheRequest request(const Project& project) {
  const auto ask = [build = project.build()](const std::vector<std::string>& argv) -> Result<std::string> {
    return tests::run_program(argv, build, {{"PATH", "/usr/bin:/bin"}}).all();
  };
  return {.places = {.source = project.source().string(), .build = project.build().string(), .view = {}},
          .memos = project.source().parent_path().parent_path() / "memos",
          .targets = {},
          .environment = {std::string(kPath)},
          .owner = 0,
          .ask = ask,
          .now_ms = 1};
}

// The store as a build of everything leaves it.
int fill(const fs::path& folder, int edges) {
  const Project project(folder, edges);
  project.write_sources();
  project.configure();
  cache::ActionStore store = must(cache::ActionStore::open(folder / "actions.db"));
  const artifacts::OutputPool pool(folder / "outputs");
  cache::BuildCache build = must(cache::BuildCache::open(store, pool, request(project)));
  (void)must(build.take());
  project.finish();
  const cache::Kept kept = must(build.keep({}));
  if (kept.results == edges) return 0;
  fmt::print(stderr, "{} of {} results kept\n", kept.results, edges);
  for (const cache::EdgeVerdict& verdict : build.verdicts()) {
    fmt::print(stderr, "{}: {}\n", verdict.output, verdict.why);
    break;
  }
  return 1;
}

int decide(const fs::path& folder, int edges) {
  const Project project(folder, edges);
  cache::ActionStore store = must(cache::ActionStore::open(folder / "actions.db"));
  const artifacts::OutputPool pool(folder / "outputs");
  cache::BuildCache build = must(cache::BuildCache::open(store, pool, request(project)));
  if (const Status looked = build.look(); !looked) {
    fmt::print(stderr, "{}", format_error(looked.error()));
    return 1;
  }
  const auto hits = std::ranges::count_if(
      build.verdicts(), [](const cache::EdgeVerdict& edge) { return edge.verdict == cache::Verdict::hit; });
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{}\n", static_cast<double>(usage.ru_maxrss) / 1024);
  if (hits == edges) return 0;
  fmt::print(stderr, "{} of {} edges are hits\n", hits, edges);
  return 1;
}

int run(int argc, char** argv) {
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  Records records("decide");
  std::vector<os::TemporaryFolder> folders;
  double before = 0;
  bool held = true;
  for (const int edges : {12'500, 25'000, 50'000, 100'000}) {
    fmt::print(stderr, "{} edges …\n", edges);
    const os::TemporaryFolder& folder = folders.emplace_back(tests::temporary_folder());
    const Project project(folder.path(), edges);
    const auto step = [&](const char* what) {
      return timed({self, what, folder.path().string(), std::to_string(edges)}, folder.path(),
                   {{"PATH", "/usr/bin:/bin"}});
    };
    (void)step("fill");
    std::vector<double> theirs;
    for (int i = 0; i < kRuns; ++i)
      theirs.push_back(
          timed({"ninja", "-C", project.build().string()}, folder.path(), {{"PATH", "/usr/bin:/bin"}}).ms);
    project.put_aside();
    project.write_sources();
    project.configure();
    ::sync();  // or the disk writes the sources meanwhile
    std::vector<double> ours;
    double mib = 0;
    for (int i = 0; i < kRuns; ++i) {
      const Timed decided = step("decide");
      ours.push_back(decided.ms);
      mib = std::max(mib, std::strtod(decided.finished.out.c_str(), nullptr));
    }
    const double ms = median(ours);
    records.add({.row = fmt::format("{} edges", edges),
                 .value = ms,
                 .unit = "ms",
                 .peer = fmt::format("ninja with nothing to do: {:.0f} ms", median(theirs)),
                 .ratio = median(theirs) / ms});
    records.add({.row = fmt::format("{} edges, memory", edges),
                 .value = mib,
                 .unit = "MiB",
                 .peer = fmt::format("bar: {} MiB", kBarMib),
                 .ratio = kBarMib / mib});
    if (before > 0)
      records.add({.row = fmt::format("{} edges, growth", edges),
                   .value = ms / before,
                   .unit = "times",
                   .peer = "linear: 2",
                   .ratio = 2 * before / ms});
    before = ms;
    held = mib <= kBarMib && ms <= kBarMs;
  }
  const int code = records.finish(argc, argv);
  return code == 0 && !held ? 1 : code;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  const std::string_view what = argc == 4 ? argv[1] : "";
  if (what == "fill") return sb::bench::fill(argv[2], std::atoi(argv[3]));
  if (what == "decide") return sb::bench::decide(argv[2], std::atoi(argv[3]));
  return sb::bench::run(argc, argv);
}
