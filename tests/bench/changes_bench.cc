// Small changes, one commit each: Debian's patches, touches of real source files chosen by a seed, and this
// repository's own last commits. Each is built by `selfbuild build` and by plain Ninja in a warm folder that
// goes from commit to commit by `git checkout`. Ninja must run the same edges in both; ours may take 1.25
// times as long and 150 ms; and every file that ours made is what a build with an empty cache makes at the
// same path.
//
//   --project NAME   only this one (leveldb, abseil, geos, selfbuild)
//   --own N          this repository's last N commits, 2 otherwise: its builds take minutes
//   --compared N     of each project only so many changes are compared with a clean build; all otherwise
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "bench/commands.h"
#include "bench/records.h"
#include "bench/third_party.h"
#include "support/files.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::Environment;
using tests::Installation;

constexpr double kSlower = 1.25;
constexpr double kAllowanceMs = 150;

// A checkout and a build folder that stay warm, and nothing else.
class WarmFolder {
 public:
  WarmFolder(const Installation& host, const std::vector<std::string>& configure,
             std::vector<std::string> targets)
      : environment_(host.environment), folder_(host.scratch() / "warm"), targets_(std::move(targets)) {
    environment_.insert({"NINJA_STATUS", kNinjaStatusOfEdges});
    fs::create_directories(folder_);
    must("git clone", host.git({"clone", "--quiet", ".", source().string()}));
    std::vector<std::string> cmake = {"cmake"};
    cmake.insert(cmake.end(), configure.begin(), configure.end());
    cmake.insert(cmake.end(), {"-S", source().string(), "-B", build().string()});
    (void)timed(cmake, source(), environment_);
    (void)ninja();
  }

  struct Moved {
    std::vector<std::string> edges;
    double ms = 0;
  };
  Moved move(const std::string& commit) {
    (void)timed({"git", "fetch", "--quiet", "origin", commit}, source(), environment_);  // not its time
    const Timed checkout = timed({"git", "checkout", "--quiet", "--detach", commit}, source(), environment_);
    Moved moved = ninja();
    moved.ms += checkout.ms;
    return moved;
  }

  // The files of the project that the compiler read, relative to it.
  [[nodiscard]] std::vector<std::string> files_read() const {
    std::set<std::string> files;
    const std::string prefix = source().string() + "/";
    const Timed deps = timed({"ninja", "-C", build().string(), "-t", "deps"}, folder_, environment_);
    for (std::string_view line : split_lines(deps.finished.out)) {
      line = trim(line);
      if (!line.starts_with(prefix)) continue;
      line.remove_prefix(prefix.size());
      for (const std::string_view suffix : {".c", ".cc", ".cpp", ".h"}) {
        if (line.ends_with(suffix)) files.emplace(line);
      }
    }
    return {files.begin(), files.end()};
  }

 private:
  [[nodiscard]] fs::path source() const { return folder_ / "source"; }
  [[nodiscard]] fs::path build() const { return folder_ / "build"; }
  Moved ninja() {
    std::vector<std::string> argv = {"ninja", "-C", build().string()};
    argv.insert(argv.end(), targets_.begin(), targets_.end());
    const Timed run = timed(argv, folder_, environment_);
    return {.edges = edges_run(run.finished.out), .ms = run.ms};
  }

  Environment environment_;
  fs::path folder_;
  std::vector<std::string> targets_;
};

struct Built {
  std::vector<std::string> edges;
  double ms = 0;
  fs::path folder;
  std::string parts;
};

Built selfbuild(const Installation& host, const Environment& environment, const std::string& commit) {
  const Timed run = timed({SELFBUILD_PROGRAM, "build", "--json", commit}, host.repository(), environment);
  const Json report = parse_json(run.finished.out).value_or(Json::object());
  return {.edges = edges_run(tests::read(report.value("log", ""))),
          .ms = run.ms,
          .folder = report.value("build", ""),
          .parts = fmt::format("stage {}, configure {}, cache {}, ninja {}", report.value("stage_ms", -1),
                               report.value("configure_ms", -1), report.value("cache_ms", -1),
                               report.value("ninja_ms", -1))};
}

// A build folder's files: what each one is and holds. The names that CMake's file API makes up from the time
// of day count as one.
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    std::string name = entry.path().lexically_relative(folder).string();
    if (name.starts_with(".cmake/api/")) {
      std::ranges::replace_if(name, [](char c) { return c >= '0' && c <= '9'; }, '#');
    }
    if (entry.is_symlink()) {
      files[name] = "link to " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      const bool executable = (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
      files[name] = (executable ? "program " : "file ") + tests::read(entry.path());
    }
  }
  return files;
}

std::set<std::string> differing(const std::map<std::string, std::string>& one,
                                const std::map<std::string, std::string>& other) {
  std::set<std::string> names;
  for (const auto& [name, bytes] : one) {
    const auto found = other.find(name);
    if (found == other.end() || found->second != bytes) names.insert(name);
  }
  for (const auto& [name, bytes] : other) {
    if (!one.contains(name)) names.insert(name);
  }
  return names;
}

// What a build with an empty cache makes, at the same path.
class CleanBuilds {
 public:
  explicit CleanBuilds(const Installation& host)
      : host_(host), home_(host.scratch() / "clean-home"), environment_(host.environment) {
    environment_["SELFBUILD_HOME"] = home_.string();
  }

  struct Comparison {
    int files = 0;
    std::set<std::string> differ;  // though two clean builds agree on them
  };
  Comparison compare(const std::string& commit, const fs::path& ours) {
    const auto mine = files_of(ours);
    const auto clean = build(commit);
    Comparison comparison{.files = static_cast<int>(mine.size()), .differ = differing(mine, clean)};
    std::erase_if(comparison.differ, [&](const std::string& name) { return unstable_.contains(name); });
    if (comparison.differ.empty()) return comparison;
    // Only two clean builds of the same commit may say that a file is never the same twice.
    for (const std::string& name : differing(clean, build(commit))) {
      if (unstable_.insert(name).second) fmt::print(stderr, "  differs between two clean builds: {}\n", name);
    }
    std::erase_if(comparison.differ, [&](const std::string& name) { return unstable_.contains(name); });
    return comparison;
  }
  [[nodiscard]] const std::set<std::string>& unstable() const { return unstable_; }

 private:
  std::map<std::string, std::string> build(const std::string& commit) {
    // Aside, not away: ext4 makes new files slowly after many were deleted, and the next change is timed.
    if (fs::exists(home_)) fs::rename(home_, home_.string() + fmt::format("-{}", ++builds_));
    return files_of(selfbuild(host_, environment_, commit).folder);
  }

  const Installation& host_;
  fs::path home_;
  Environment environment_;
  std::set<std::string> unstable_;
  int builds_ = 0;
};

struct Sum {
  int changes = 0;
  int synthetic = 0;
  int same_edges = 0;
  int in_time = 0;
  int compared = 0;
  int equal = 0;
  std::int64_t files = 0;
  std::set<std::string> unstable;
  std::vector<double> ours;
  std::vector<double> theirs;
};

class Project {
 public:
  Project(std::string name, const Installation& host, WarmFolder& warm, int compared)
      : name_(std::move(name)), host_(host), warm_(warm), clean_(host), left_to_compare_(compared) {}

  void first(const std::string& commit) { (void)selfbuild(host_, host_.environment, commit); }

  void change(const Change& change, Sum& sum) {
    ++sum.changes;
    const WarmFolder::Moved warm = warm_.move(change.commit);
    const Built ours = selfbuild(host_, host_.environment, change.commit);
    const bool same = warm.edges == ours.edges;
    const double allowed = kSlower * warm.ms + kAllowanceMs;
    sum.same_edges += same ? 1 : 0;
    sum.in_time += ours.ms <= allowed ? 1 : 0;
    sum.ours.push_back(ours.ms);
    sum.theirs.push_back(warm.ms);
    fmt::print(stderr, "{}: {}: {} edges, warm folder {}{}; {:.0f} ms ({}), warm folder {:.0f} ms{}\n", name_,
               change.what, ours.edges.size(), warm.edges.size(), same ? "" : " NOT THE SAME", ours.ms,
               ours.parts, warm.ms, ours.ms <= allowed ? "" : " TOO SLOW");
    if (!same) print_difference(ours.edges, warm.edges);
    if (left_to_compare_-- <= 0) return;
    const CleanBuilds::Comparison comparison = clean_.compare(change.commit, ours.folder);
    ++sum.compared;
    sum.files += comparison.files;
    sum.equal += comparison.differ.empty() && comparison.files > 0 ? 1 : 0;
    for (const std::string& file : comparison.differ)
      fmt::print(stderr, "  NOT AS A CLEAN BUILD: {}\n", file);
    sum.unstable.insert(clean_.unstable().begin(), clean_.unstable().end());
  }

 private:
  static void print_difference(const std::vector<std::string>& ours, const std::vector<std::string>& warm) {
    std::vector<std::string> only;
    std::ranges::set_difference(ours, warm, std::back_inserter(only));
    for (const std::string& edge : only) fmt::print(stderr, "  only ours: {}\n", edge);
    only.clear();
    std::ranges::set_difference(warm, ours, std::back_inserter(only));
    for (const std::string& edge : only) fmt::print(stderr, "  only the warm folder: {}\n", edge);
  }

  std::string name_;
  const Installation& host_;
  WarmFolder& warm_;
  CleanBuilds clean_;
  int left_to_compare_;
};

void third_party(const Package& package, const fs::path& fetched, int touches, int compared, Sum& sum) {
  const Installation host;
  import(package, fetched, host);
  fmt::print(stderr, "{}: the first build of both\n", package.name);
  std::vector<std::string> configure = {"-G", "Ninja"};
  configure.insert(configure.end(), package.options.begin(), package.options.end());
  WarmFolder warm(host, configure, {});
  Project project(package.name, host, warm, compared);
  project.first(head_of(host));
  for (const Change& change : commit_patches(host)) project.change(change, sum);
  const std::vector<std::string> files = warm.files_read();
  for (int touch = 1; touch <= touches; ++touch) {
    ++sum.synthetic;
    project.change(commit_touch(host, files, static_cast<unsigned>(touch)), sum);
  }
}

// This repository: the changes that people made.
void own(int changes, int compared, Sum& sum) {
  if (changes <= 0) return;
  const Installation host;
  must("git clone", tests::run_program({"git", "-c", "safe.directory=*", "clone", "--quiet",
                                        SELFBUILD_SOURCE_DIR, host.repository().string()},
                                       host.scratch(), host.environment));
  const std::string log =
      host.git({"log", "--first-parent", "--reverse", "--format=%H %s", fmt::format("-{}", changes + 1)}).out;
  std::vector<Change> commits;
  for (const std::string_view line : split_lines(log))
    commits.push_back({.commit = std::string(line.substr(0, 40)), .what = std::string(line.substr(41))});
  fmt::print(stderr, "selfbuild: the first build of both\n");
  (void)host.git({"checkout", "--quiet", "--detach", commits.front().commit});
  WarmFolder warm(host, {"--preset", "release"},
                  {"selfbuild", "unit_base", "unit_artifacts", "unit_history", "unit_update", "unit_tool"});
  Project project("selfbuild", host, warm, compared);
  project.first(commits.front().commit);
  for (auto commit = commits.begin() + 1; commit != commits.end(); ++commit) project.change(*commit, sum);
}

int run(int argc, char** argv) {
  Arguments arguments(argc, argv);
  const std::string only = arguments.take("--project", std::string());
  const int own_changes = arguments.take("--own", 2);
  const int compared = arguments.take("--compared", std::numeric_limits<int>::max());
  const std::map<std::string, int> touches = {{"leveldb", 22}, {"abseil", 4}, {"geos", 3}};

  const os::TemporaryFolder fetched = tests::temporary_folder();
  fetch(packages(), fetched.path());
  Records records("changes");
  Sum all;
  const auto add = [&](const std::string& name, const auto& measure) {
    if (!only.empty() && name != only) return;
    Sum sum;
    measure(sum);
    const auto row = [&](const std::string& what, int good, int of, const std::string& peer) {
      records.add({.row = fmt::format("{} {}", name, what),
                   .value = static_cast<double>(good),
                   .unit = "of",
                   .peer = fmt::format("{} changes, {}", of, peer),
                   .ratio = of > 0 ? static_cast<double>(good) / of : 0});
    };
    row("same edges", sum.same_edges, sum.changes,
        fmt::format("of which {} touches of files; the edges of a warm folder", sum.synthetic));
    row("in time", sum.in_time, sum.changes,
        fmt::format("{} times a warm folder's time and {} ms", kSlower, kAllowanceMs));
    row("equal outputs", sum.equal, sum.compared,
        fmt::format("a clean build: {} files compared, {} names differ between clean builds", sum.files,
                    sum.unstable.size()));
    records.add({.row = name + " time",
                 .value = median(sum.ours),
                 .unit = "ms",
                 .peer = fmt::format("warm folder: {:.0f} ms (medians)", median(sum.theirs)),
                 .ratio = median(sum.ours) > 0 ? median(sum.theirs) / median(sum.ours) : 0});
    all.changes += sum.changes;
    all.same_edges += sum.same_edges;
    all.in_time += sum.in_time;
    all.compared += sum.compared;
    all.equal += sum.equal;
  };
  for (const Package& package : packages()) {
    add(package.name,
        [&](Sum& sum) { third_party(package, fetched.path(), touches.at(package.name), compared, sum); });
  }
  add("selfbuild", [&](Sum& sum) { own(own_changes, std::min(compared, 1), sum); });
  const int code = records.finish(arguments.count(), arguments.values());
  const bool held = all.changes > 0 && all.same_edges == all.changes && all.in_time == all.changes &&
                    all.equal == all.compared;
  return code == 0 && !held ? 1 : code;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
