// Several builders that use one build cache at once: the longest that any of them had to wait for the write
// lock of its index. Real builds of different commits of a generated project (400 C files), beginning at one
// moment, with an empty and with a warm cache; and writers that only write, far more than builds do. The bar
// is 100 ms.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "bench/commands.h"
#include "bench/must.h"
#include "bench/records.h"
#include "cache/action_store.h"
#include "support/files.h"
#include "support/installation.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::Installation;

constexpr int kFiles = 400;
constexpr int kHeaders = 20;
constexpr int kRounds = 3;
constexpr int kResults = 20'000;
constexpr int kInputs = 100;  // of each result
constexpr double kBarMs = 100;

// A repository with two commits that share no object file.
class Project {
 public:
  Project(const std::string& name, const std::string& home) {
    if (!home.empty()) host_.environment["SELFBUILD_HOME"] = home;
    const fs::path folder = host_.repository();
    std::string includes;
    for (int i = 0; i < kHeaders; ++i) {
      tests::write(folder / fmt::format("part{}.h", i), fmt::format("enum {{ part{0} = {0} }};\n", i));
      includes += fmt::format("#include \"part{}.h\"\n", i);
    }
    std::string sources;
    for (int i = 0; i < kFiles; ++i) {
      tests::write(folder / fmt::format("file{}.c", i),
                   includes + fmt::format("int {}_{}(void) {{ return part0 + {}; }}\n", name, i, i));
      sources += fmt::format(" file{}.c", i);
    }
    tests::write(
        folder / "CMakeLists.txt",
        fmt::format("cmake_minimum_required(VERSION 3.25)\nproject({} C)\nadd_library({} STATIC{})\n", name,
                    name, sources));
    tests::write(
        folder / "selfbuild.yaml",
        fmt::format("apiVersion: selfbuild/v1\nkind: Project\nmetadata: {{name: {0}}}\nspec:\n  build:\n   "
                    " outputs: [lib{0}.a]\n---\napiVersion: selfbuild/v1\nkind: Service\nmetadata: "
                    "{{name: {0}}}\nspec:\n  command: [lib{0}.a]\n  swap: drain-first\n",
                    name));
    must("git", host_.git({"init", "--quiet", "--initial-branch", "main"}));
    host_.commit("first");
    host_.edit("part0.h", "part0 = 0", "part0 = 1000");
    host_.commit("second");
  }
  [[nodiscard]] tests::Finished build(const std::string& revision) const {
    return host_.selfbuild({"build", revision, "--json"});
  }
  [[nodiscard]] std::string home() const { return host_.environment.at("SELFBUILD_HOME"); }
  void empty_cache() const { fs::remove_all(fs::path(home()) / "cache/build"); }

 private:
  Installation host_;
};

// Both commits of each project at once. The longest wait in ms; `hits_expected`: whether nothing ran.
double build_all(const std::vector<std::unique_ptr<Project>>& projects, bool hits_expected) {
  std::vector<tests::Finished> builds(projects.size() * 2);
  std::vector<std::jthread> waiting;
  waiting.reserve(builds.size());
  for (std::size_t i = 0; i < builds.size(); ++i)
    waiting.emplace_back([&, i] { builds[i] = projects[i / 2]->build(i % 2 == 0 ? "HEAD~1" : "HEAD"); });
  waiting.clear();
  double longest = 0;
  for (const tests::Finished& build : builds) {
    const tests::Finished finished = must("selfbuild build", build);
    const Json report = must(parse_json(finished.out));
    const int expected = hits_expected ? kFiles + 1 : 0;
    if (report["edges_cached"] != expected || report["cache_note"] != "") {
      fmt::print(stderr, "{} edges from the cache instead of {}: {}\n", report["edges_cached"].dump(),
                 expected, report["cache_note"].dump());
      std::exit(1);
    }
    longest = std::max(longest, report["cache_lock_wait_ms"].get<double>());
  }
  return longest;
}

// As many results as a very large build, of which each read a hundred files; in one go. The longest wait in
// ms.
double write_results(const fs::path& file, int writer) {
  cache::ActionStore store = must(cache::ActionStore::open(file));
  const auto check = [](const auto& result) {
    if (!result) {
      fmt::print(stderr, "{}", format_error(result.error()));
      ::_exit(1);
    }
  };
  check(store.begin_writing());
  for (int i = 0; i < kResults; ++i) {
    std::vector<cache::ActionStore::PathId> inputs;
    inputs.reserve(kInputs);
    for (int input = 0; input < kInputs; ++input)
      inputs.push_back(must(store.path_id(fmt::format("/usr/include/{}", (i + input * 7) % 2'000))));
    const std::string name = fmt::format("{} {}", writer, i);
    const Key key = key_of(name);
    check(store.record(key, must(store.list_id(inputs)), key, 0,
                       {.outputs = {{.path = name + ".o", .id = {.digest = key, .size = 1}}}, .printed = {}},
                       1));
  }
  check(store.end_writing());
  return std::chrono::duration<double, std::milli>(store.longest_wait()).count();
}

double write_at_once(const fs::path& folder, int writers) {
  const fs::path file = folder / "actions.db";
  must(cache::ActionStore::open(file));
  std::vector<pid_t> children;
  for (int writer = 0; writer < writers; ++writer) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::ofstream(folder / std::to_string(writer)) << write_results(file, writer);
      ::_exit(0);
    }
    children.push_back(child);
  }
  double longest = 0;
  for (int writer = 0; writer < writers; ++writer) {
    int status = 0;
    if (::waitpid(children[static_cast<std::size_t>(writer)], &status, 0) < 0 || status != 0) std::exit(1);
    longest = std::max(longest, std::atof(tests::read(folder / std::to_string(writer)).c_str()));
  }
  return longest;
}

class Table {
 public:
  void add(const std::string& row, double longest_ms) {
    records_.add({.row = row,
                  .value = longest_ms,
                  .unit = "ms",
                  .peer = fmt::format("bar: {:.0f} ms", kBarMs),
                  .ratio = kBarMs / std::max(longest_ms, 1.0)});
  }
  [[nodiscard]] int finish(int argc, char** argv) const { return records_.finish(argc, argv); }

 private:
  Records records_{"share"};
};

int run(int argc, char** argv) {
  Table table;
  std::vector<std::unique_ptr<Project>> projects;
  for (const int count : {1, 2}) {
    projects.push_back(std::make_unique<Project>(fmt::format("project{}", count),
                                                 projects.empty() ? "" : projects.front()->home()));
    double empty = 0;
    double warm = 0;
    for (int round = 0; round < kRounds; ++round) {
      fmt::print(stderr, "{} builds at once, round {} of {} …\n", 2 * count, round + 1, kRounds);
      projects.front()->empty_cache();
      empty = std::max(empty, build_all(projects, false));
      warm = std::max(warm, build_all(projects, true));
    }
    table.add(fmt::format("{} builds at once, empty cache", 2 * count), empty);
    table.add(fmt::format("{} builds at once, warm cache", 2 * count), warm);
  }
  for (const int writers : {2, 4}) {
    const os::TemporaryFolder folder = tests::temporary_folder();
    table.add(fmt::format("{} writers of {} results each", writers, kResults),
              write_at_once(folder.path(), writers));
  }
  return table.finish(argc, argv);
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  return sb::bench::run(argc, argv);
}
