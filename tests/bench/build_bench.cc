// From a commit in the object database to an up-to-date build folder: `selfbuild build`, and how people do
// that without it. Three projects of Debian; all caches warm, on one file system; medians of interleaved
// rounds.
//
// The peers check out with `git worktree add` and configure with CMake, then run Ninja: with ccache as its
// manual would have it for speed, at a new path in every round (base_dir), and with sccache at one and the
// same path, because it finds nothing at another one. Ours begins with no stage at all. A copy (cp -a) of the
// finished source and build folders is the limit.
//
// The build step is what follows configure, without the start of a program on either side, for which
// `ninja --version` and `selfbuild --version` stand: the same process of ours has staged and configured
// before. A second row leaves our start in.
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "bench/commands.h"
#include "bench/records.h"
#include "bench/third_party.h"
#include "support/files.h"
#include "support/wait.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::Environment;
using tests::Installation;

constexpr double kBuildStepBar = 15;  // ours against the better of the two compiler caches
constexpr double kEndToEndBar = 8;
constexpr double kCopyBar = 1.0 / 3;
constexpr const char* kSccachePort = "42261";

struct Times {
  double end_to_end = 0;
  double build_step = 0;  // after configure
};

// The samples of one contender.
struct Samples {
  std::vector<double> end_to_end;
  std::vector<double> build_step;
  void add(const Times& times) {
    end_to_end.push_back(times.end_to_end);
    build_step.push_back(times.build_step);
  }
};

// A compiler cache as CMake's compiler launcher.
struct Launcher {
  std::string program;  // empty: none
  Environment environment;
};

Environment joined(Environment to, const Environment& more) {
  to.insert(more.begin(), more.end());
  return to;
}

// Where the peers check out, and where their caches lie.
class Peers {
 public:
  Peers(const Installation& host, const Package& package)
      : host_(host), package_(package), folder_(host.scratch() / "peers"), commit_(head_of(host)) {
    fs::create_directories(folder_);
    ccache_ = {.program = "ccache",
               .environment = {{"CCACHE_DIR", (folder_ / "ccache").string()},
                               {"CCACHE_BASEDIR", folder_.string()},
                               {"CCACHE_NOHASHDIR", "1"},
                               {"CCACHE_DIRECT", "1"},
                               {"CCACHE_HARDLINK", "1"},
                               {"CCACHE_FILECLONE", "1"},
                               {"CCACHE_NOCOMPRESS", "1"},
                               {"CCACHE_INODECACHE", "1"},
                               {"CCACHE_MAXSIZE", "20G"},
                               // "a fresh checkout is newer than the compilation": the manual's own advice
                               {"CCACHE_SLOPPINESS", "include_file_ctime,include_file_mtime,time_macros"}}};
    sccache_ = {.program = "sccache",
                .environment = {{"SCCACHE_DIR", (folder_ / "sccache").string()},
                                {"SCCACHE_SERVER_PORT", kSccachePort},
                                {"SCCACHE_CACHE_SIZE", "20G"},
                                {"SCCACHE_IDLE_TIMEOUT", "0"}}};
    server_.emplace(
        std::vector<std::string>{"sccache"}, folder_,
        joined(sccache_.environment, {{"SCCACHE_START_SERVER", "1"}, {"SCCACHE_NO_DAEMON", "1"}}));
    tests::wait_until([] { return sccache_listens(); });
  }

  [[nodiscard]] const Launcher& ccache() const { return ccache_; }
  [[nodiscard]] const Launcher& sccache() const { return sccache_; }

  // The whole way of somebody without selfbuild, at folder_/place.
  [[nodiscard]] Times fresh_stage(const Launcher& with, const std::string& place, bool counts = false) const {
    const fs::path source = folder_ / place / "source";
    const fs::path build = folder_ / place / "build";
    Environment environment = joined(host_.environment, with.environment);
    if (!counts) environment.insert({"CCACHE_NOSTATS", "1"});
    fs::create_directories(folder_ / place);
    std::vector<std::string> cmake = {"cmake", "-G", "Ninja", "-S", source.string(), "-B", build.string()};
    cmake.insert(cmake.end(), package_.options.begin(), package_.options.end());
    for (const char* language : {"C", "CXX"}) {
      if (!with.program.empty())
        cmake.push_back(fmt::format("-DCMAKE_{}_COMPILER_LAUNCHER={}", language, with.program));
    }
    const double checkout = timed({"git", "worktree", "add", "--quiet", "--detach", source.string(), commit_},
                                  host_.repository(), environment)
                                .ms;
    const double configure = timed(cmake, folder_, environment).ms;
    const double ninja = timed({"ninja", "-C", build.string()}, folder_, environment).ms;
    const double start = timed({"ninja", "--version"}, folder_, environment).ms;
    return {.end_to_end = checkout + configure + ninja, .build_step = ninja - start};
  }
  void remove(const std::string& place) {
    throw_away(folder_ / place);
    (void)host_.git({"worktree", "prune"});
  }
  // Out of the way, until all is measured: ext4 makes new files slowly while it remembers many that were just
  // deleted.
  void throw_away(const fs::path& path) {
    const fs::path bin = folder_ / "thrown-away";
    fs::create_directories(bin);
    fs::rename(path, bin / fmt::format("{}", thrown_away_++));
  }

  [[nodiscard]] double no_op(const std::string& place) const {
    return timed({"ninja", "-C", (folder_ / place / "build").string()}, folder_, host_.environment).ms;
  }
  [[nodiscard]] Times copy(const std::string& place) {
    const double took = timed({"cp", "-a", (folder_ / place).string(), (folder_ / "copy").string()}, folder_,
                              host_.environment)
                            .ms;
    throw_away(folder_ / "copy");
    return {.end_to_end = took, .build_step = took};
  }

  // "40 of 40 compilations hit": a peer that misses is no peer.
  void check_ccache_hits(const std::string& place) {
    (void)tests::run_program({"ccache", "--zero-stats"}, folder_, ccache_.environment);
    (void)fresh_stage(ccache_, place, true);
    remove(place);
    const std::string stats =
        tests::run_program({"ccache", "--print-stats"}, folder_, ccache_.environment).out;
    fmt::print(stderr, "  ccache: {} direct hits, {} other hits, {} misses\n",
               number_after(stats, "direct_cache_hit"), number_after(stats, "preprocessed_cache_hit"),
               number_after(stats, "cache_miss"));
  }
  void print_sccache_hits() const {
    const std::string stats =
        tests::run_program({"sccache", "--show-stats"}, folder_, sccache_.environment).out;
    fmt::print(stderr, "  sccache since its first build: {} hits, {} misses\n",
               number_after(stats, "\nCache hits "), number_after(stats, "\nCache misses "));
  }

 private:
  static int number_after(const std::string& text, const std::string& name) {
    const std::size_t at = text.find(name);
    return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + name.size());
  }
  static bool sccache_listens() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(kSccachePort)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool listens = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    return listens;
  }

  const Installation& host_;
  const Package& package_;
  fs::path folder_;
  std::string commit_;
  Launcher ccache_;
  Launcher sccache_;
  std::optional<tests::Background> server_;
  int thrown_away_ = 0;
};

// `selfbuild build`, as a user calls it.
struct Ours {
  Samples samples;
  std::vector<double> with_start;                    // the build step, and the start of our program
  std::map<std::string, std::vector<double>> parts;  // "stage" → ms of each round
  int edges = 0;
  int most_run = 0;

  void build(const Installation& host) {
    const Timed run = timed({SELFBUILD_PROGRAM, "build", "--json"}, host.repository(), host.environment);
    const Json report = parse_json(run.finished.out).value_or(Json::object());
    const auto ms = [&](const char* field) { return report.value(field, 0.0); };
    const double start = timed({SELFBUILD_PROGRAM, "--version"}, host.repository(), host.environment).ms;
    const double after_start = run.ms - ms("stage_ms") - ms("configure_ms");
    samples.add({.end_to_end = run.ms, .build_step = after_start - start});
    with_start.push_back(after_start);
    parts["stage"].push_back(ms("stage_ms"));
    parts["configure"].push_back(ms("configure_ms"));
    parts["decide and place"].push_back(ms("cache_ms") - ms("keep_ms"));
    parts["ninja"].push_back(ms("ninja_ms"));
    parts["keep"].push_back(ms("keep_ms"));
    parts["start"].push_back(start);
    parts["end"].push_back(after_start - start - ms("cache_ms") - ms("ninja_ms"));
    edges = report.value("edges_total", 0);
    most_run = std::max(most_run, report.value("edges_run", -1));
  }
};

class Table {
 public:
  explicit Table(Records& records) : records_(records) {}

  void versus(const std::string& row, const char* name, double ours, double theirs) {
    records_.add({.row = fmt::format("{} vs {}", row, name),
                  .value = ours,
                  .unit = "ms",
                  .peer = fmt::format("{}: {:.1f} ms", name, theirs),
                  .ratio = ours > 0 ? theirs / ours : 0});
  }
  void bar(const std::string& row, double ours, double theirs, double least) {
    const double reached = ours > 0 ? theirs / ours : 0;
    held_ = held_ && reached >= least;
    records_.add({.row = row + " bar",
                  .value = reached,
                  .unit = "x",
                  .peer = fmt::format("at least {:.2f}: {}", least, reached >= least ? "held" : "MISSED"),
                  .ratio = reached / least});
  }
  [[nodiscard]] bool held() const { return held_; }

 private:
  Records& records_;
  bool held_ = true;
};

void measure(const Package& package, const fs::path& fetched, int rounds, Records& records, Table& table) {
  const Installation host;
  import(package, fetched, host);
  Peers peers(host, package);
  fmt::print(stderr, "{}: clean builds, without a cache and into each\n", package.name);
  const Times clean = peers.fresh_stage({}, "clean");
  (void)peers.fresh_stage(peers.ccache(), "ccache-first");
  peers.remove("ccache-first");
  (void)peers.fresh_stage(peers.sccache(), "sccache-place");
  peers.remove("sccache-place");
  Ours first;
  first.build(host);
  peers.check_ccache_hits("ccache-second");

  Samples ccache;
  Samples sccache;
  Samples copy;
  std::vector<double> no_op;
  Ours ours;
  Ours held;  // the slot holds the commit already
  for (int round = 0; round < rounds; ++round) {
    fmt::print(stderr, "{}: round {} of {}\n", package.name, round + 1, rounds);
    const std::string place = fmt::format("ccache-{}", round);
    ccache.add(peers.fresh_stage(peers.ccache(), place));
    peers.remove(place);
    sccache.add(peers.fresh_stage(peers.sccache(), "sccache-place"));
    peers.remove("sccache-place");
    peers.throw_away(host.home().cache() / "stages");
    ours.build(host);
    held.build(host);
    copy.add(peers.copy("clean"));
    no_op.push_back(peers.no_op("clean"));
  }
  peers.print_sccache_hits();

  const double all = median(ours.samples.end_to_end);
  const double step = median(ours.samples.build_step);
  const std::string whole = package.name + " end to end";
  const std::string build = package.name + " build step";
  table.versus(build, "ccache", step, median(ccache.build_step));
  table.versus(build, "sccache", step, median(sccache.build_step));
  table.versus(build + " and our start", "ccache", median(ours.with_start), median(ccache.build_step));
  table.versus(whole, "ccache", all, median(ccache.end_to_end));
  table.versus(whole, "sccache", all, median(sccache.end_to_end));
  table.versus(whole, "copy", all, median(copy.end_to_end));
  table.versus(build, "a clean build", step, clean.build_step);
  table.versus(whole, "a clean build", all, clean.end_to_end);
  table.versus(build, "a no-op of ninja", step, median(no_op));
  table.bar(build, step, std::min(median(ccache.build_step), median(sccache.build_step)), kBuildStepBar);
  table.bar(whole, all, std::min(median(ccache.end_to_end), median(sccache.end_to_end)), kEndToEndBar);
  table.bar(package.name + " copy", all, median(copy.end_to_end), kCopyBar);
  records.add({.row = package.name + " end to end, commit staged before",
               .value = median(held.samples.end_to_end),
               .unit = "ms",
               .peer = fmt::format("without a stage: {:.1f} ms", all),
               .ratio = all / median(held.samples.end_to_end)});
  for (const auto& [name, values] : ours.parts) {
    records.add({.row = fmt::format("{} part: {}", package.name, name),
                 .value = median(values),
                 .unit = "ms",
                 .peer = fmt::format("of our {:.1f} ms", all),
                 .ratio = median(values) / all});
  }
  records.add({.row = package.name + " edges",
               .value = static_cast<double>(ours.edges),
               .unit = "edges",
               .peer = fmt::format("that Ninja ran in a warm stage: {}", ours.most_run),
               .ratio = ours.most_run == 0 ? 1.0 : 0.0});
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const int rounds = arguments.take("--rounds", 5);
  const std::string only = arguments.take("--project", std::string());
  const os::TemporaryFolder fetched = tests::temporary_folder();
  fetch(packages(), fetched.path());
  Records records("build");
  Table table(records);
  for (const Package& package : packages()) {
    if (only.empty() || package.name == only) measure(package, fetched.path(), rounds, records, table);
  }
  const int code = records.finish(arguments.count(), arguments.values());
  return code == 0 && !table.held() ? 1 : code;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
