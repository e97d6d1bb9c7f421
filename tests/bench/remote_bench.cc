// Filling an empty store from a remote: ours against ccache with the same server, on the same machine, for
// the same compilations of a generated project. Every object is there; what is measured is how long until the
// build folder is as a build would have left it. Nothing is linked on either side, because ccache does not
// keep that.
//
// In two sizes, because a part of our time is the same for every project: what the compiler consists of is
// found out, and read, once (ccache believes its time and size). 200 files is a small project; 1000 is still
// less than what people set up a remote cache for.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "bench/must.h"
#include "bench/records.h"
#include "cache/build_cache.h"
#include "cache/remote_tier.h"
#include "support/cache_servers.h"
#include "support/files.h"
#include "support/program.h"
#include "support/tcp_proxy.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr int kSizes[] = {200, 1000};  // files
constexpr int kHeaders = 20;
constexpr int kRounds = 3;
constexpr std::chrono::milliseconds kFar{5};  // each way
constexpr std::string_view kPath = "/usr/local/bin:/usr/bin:/bin";

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
}

class Project {
 public:
  explicit Project(int files) : files_(files) {
    for (int i = 0; i < kHeaders; ++i)
      tests::write(
          source() / fmt::format("part{}.h", i),
          fmt::format(
              "#pragma once\n#include <vector>\nstruct Part{0} {{ std::vector<int> values; int sum() const "
              "{{ int s = {0}; for (int v : values) s += v; return s; }} }};\n",
              i));
    for (int i = 0; i < files_; ++i)
      tests::write(
          source() / fmt::format("file{}.cc", i),
          fmt::format(
              "#include \"part{0}.h\"\n#include \"part{1}.h\"\nint file{2}_of_{3}(const Part{0}& a, const "
              "Part{1}& b) {{ return a.sum() + b.sum() * {2}; }}\n",
              i % kHeaders, (i + 7) % kHeaders, i, files_));
  }
  [[nodiscard]] int files() const { return files_; }
  [[nodiscard]] fs::path folder() const { return folder_.path(); }
  [[nodiscard]] fs::path source() const { return folder() / "stage/source"; }
  [[nodiscard]] fs::path build() const { return folder() / "stage/build"; }

  // An empty build folder; nothing in it, and no source, is younger than what a build makes. The one before
  // is put aside, not deleted: ext4 makes new files slowly after many were.
  void begin(const std::string& launcher) {
    if (fs::exists(build())) fs::rename(build(), folder() / fmt::format("aside-{}", ++builds_));
    std::string ninja = fmt::format(
        "rule cxx\n  command = {}g++ -O1 -I../source -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  "
        "deps = gcc\n",
        launcher);
    for (int i = 0; i < files_; ++i) ninja += fmt::format("build file{0}.o: cxx ../source/file{0}.cc\n", i);
    tests::write(build() / "build.ninja", ninja);
    const timespec old[] = {{.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0},
                            {.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0}};
    for (const auto& entry : fs::recursive_directory_iterator(folder() / "stage"))
      (void)::utimensat(AT_FDCWD, entry.path().c_str(), old, 0);
  }
  void run_ninja(tests::Environment environment) const {
    environment["PATH"] = kPath;
    const tests::Finished ninja = tests::run_program({"ninja"}, build(), environment);
    if (ninja.code != 0) give_up(ninja.all());
  }
  [[nodiscard]] bool is_whole() const {
    for (int i = 0; i < files_; ++i) {
      if (!fs::exists(build() / fmt::format("file{}.o", i))) return false;
    }
    return true;
  }

 private:
  int files_;
  int builds_ = 0;
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

// One of our builds, from an empty store when there is nothing in `machine` yet. Seconds until Ninja has
// nothing to do any more.
double ours(Project& project, const std::string& url, const fs::path& machine, int hits_expected) {
  project.begin("");
  const auto start = steady_clock::now();
  auto store = must(cache::ActionStore::open(machine / "actions.db"));
  const artifacts::OutputPool pool(machine / "outputs");
  cache::RemoteSettings settings;
  settings.url = url;
  cache::RemoteTier tier(settings, machine, pool, 1);
  auto build = must(cache::BuildCache::open(
      store, pool,
      {.places = {.source = project.source().string(), .build = project.build().string(), .view = {}},
       .targets = {},
       .environment = {fmt::format("PATH={}", kPath)},
       .owner = 0,
       .ask = [&](const std::vector<std::string>& argv) -> Result<std::string> {
         return tests::run_program(argv, project.build(), {{"PATH", std::string(kPath)}}).all();
       },
       .now_ms = 1,
       .remote = &tier}));
  const cache::Taken taken = must(build.take());
  if (taken.hits < taken.edges) project.run_ninja({});  // as `selfbuild build` does
  const std::chrono::duration<double> took = steady_clock::now() - start;
  (void)must(build.keep({}));
  if (taken.hits != hits_expected || !project.is_whole())
    give_up(fmt::format("ours: {} hits of {}: {}", taken.hits, hits_expected, tier.use().note));
  return took.count();
}

double theirs(Project& project, const std::string& url, const fs::path& machine, int hits_expected) {
  project.begin("ccache ");
  const tests::Environment environment{{"CCACHE_DIR", machine.string()}, {"CCACHE_REMOTE_STORAGE", url}};
  const auto start = steady_clock::now();
  project.run_ninja(environment);
  const std::chrono::duration<double> took = steady_clock::now() - start;
  const tests::Finished stats = tests::run_program({"ccache", "--print-stats"}, machine, environment);
  const std::size_t at = stats.out.find("\nremote_storage_hit\t");
  const int hits = at == std::string::npos ? 0 : std::atoi(stats.out.c_str() + at + 20);
  if (hits != hits_expected || !project.is_whole()) give_up(fmt::format("ccache: {}", stats.out));
  return took.count();
}

double median(std::vector<double> times) {
  std::ranges::sort(times);
  return times[times.size() / 2];
}

// Both sides in turn, on loopback and behind the proxy.
void compare(Project& project, const char* name, const tests::CacheServer& server, Records& records) {
  int machine = 0;
  const auto fresh = [&](const char* whose) {
    const fs::path folder = project.folder() / fmt::format("{}-{}{}", name, whose, machine++);
    fs::create_directories(folder);
    return folder;
  };
  // ccache takes no database in the path of a URL as we do; 0 is the default of both.
  const auto their_url = [&](int port) {
    const std::string url = server.url(port);
    return url.ends_with("/0") ? url.substr(0, url.size() - 2) : url;
  };
  fmt::print(stderr, "{}: {} files, built once by each side …\n", name, project.files());
  (void)ours(project, server.url(), fresh("ours"), 0);
  (void)theirs(project, their_url(server.port()), fresh("theirs"), 0);
  const tests::TcpProxy far(server.port(), kFar);
  for (const int port : {server.port(), far.port()}) {
    std::vector<double> our_times;
    std::vector<double> their_times;
    for (int round = 0; round < kRounds; ++round) {
      our_times.push_back(ours(project, server.url(port), fresh("ours"), project.files()));
      their_times.push_back(theirs(project, their_url(port), fresh("theirs"), project.files()));
    }
    records.add({.row = fmt::format("{}, {} files, {}", name, project.files(),
                                    port == far.port() ? "10 ms round trip" : "loopback"),
                 .value = median(our_times),
                 .unit = "s",
                 .peer = fmt::format("ccache: {:.2f} s", median(their_times)),
                 .ratio = median(their_times) / median(our_times)});
  }
}

int run(int argc, char** argv) {
  Records records("remote");
  const std::pair<const char*, std::unique_ptr<tests::CacheServer>> servers[] = {
      {"Redis", tests::start_redis()}, {"nginx", tests::start_nginx()}};
  std::list<Project> projects;  // until the end, for the same reason
  for (const int files : kSizes) {
    Project& project = projects.emplace_back(files);
    for (const auto& [name, server] : servers) {
      if (!server) give_up(fmt::format("{} is not installed: ci/setup check", name));
      compare(project, name, *server, records);
    }
  }
  return records.finish(argc, argv);
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
