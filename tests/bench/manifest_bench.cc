// What it costs to read a build.ninja: time and memory for graphs of four sizes, against Ninja itself on the
// same files. The peer is `ninja -t rules`, which loads the manifest, no log and no file's date, and prints
// two rules; for the commands it is `ninja -t commands`, which prints what we hash. Both sides are whole
// processes.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "bench/records.h"
#include "ninja/build_log.h"
#include "ninja/manifest.h"
#include "os/file_system.h"
#include "support/files.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kRuns = 7;  // the fastest counts: the others were disturbed
constexpr int kEdgesOfTarget = 25;

// As CMake writes it: libraries of two dozen objects, each with its own flags, paths and order-only input.
void write_manifest(const fs::path& file, int edges) {
  std::ofstream out(file);
  out << "rule cc\n  command = /usr/bin/c++ $DEFINES $INCLUDES $FLAGS -MD -MT $out -MF $DEP_FILE -o $out -c "
         "$in\n"
         "  depfile = $DEP_FILE\n  deps = gcc\n  description = Building CXX object $out\n"
         "rule ar\n  command = ar qc $out $in\n";
  for (int target = 0; target < edges / kEdgesOfTarget; ++target) {
    std::string objects;
    for (int i = 1; i < kEdgesOfTarget; ++i) {
      const std::string object = fmt::format("lib/part{0}/CMakeFiles/part{0}.dir/source_{1}.cc.o", target, i);
      objects += " " + object;
      fmt::print(out,
                 "build {0}: cc /home/builder/project/lib/part{1}/source_{2}.cc || order_of_part{1}\n"
                 "  DEFINES = -DPART_{1} -DNDEBUG\n  DEP_FILE = {0}.d\n"
                 "  FLAGS = -O2 -g -std=gnu++20 -fPIC -Wall -Wextra\n"
                 "  INCLUDES = -I/home/builder/project/lib -I/home/builder/project/third_party/include\n",
                 object, target, i);
    }
    fmt::print(out, "build lib/libpart{}.a: ar{}\n", target, objects);
  }
}

struct Cost {
  double ms = std::numeric_limits<double>::max();
  double mib = 0;  // peak of resident memory
};

// Runs a program whose output nobody reads.
Cost run_once(std::vector<std::string> argv, const fs::path& folder) {
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const auto begin = std::chrono::steady_clock::now();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, 1);
    if (::chdir(folder.c_str()) == 0) ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  struct rusage usage{};
  if (::wait4(pid, &status, 0, &usage) != pid || status != 0) {
    fmt::print(stderr, "{} in {} failed\n", argv[0], folder.string());
    std::exit(1);
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  return {.ms = took.count(), .mib = static_cast<double>(usage.ru_maxrss) / 1024};
}

void keep_best(Cost& best, const Cost& cost) {
  best.ms = std::min(best.ms, cost.ms);
  best.mib = std::max(best.mib, cost.mib);
}

// Turn and turn about, so that what else the machine does disturbs both.
std::pair<Cost, Cost> compare(const std::vector<std::string>& ours, const std::vector<std::string>& peer,
                              const fs::path& folder) {
  std::pair<Cost, Cost> best;
  for (int run = 0; run < kRuns; ++run) {
    keep_best(best.first, run_once(ours, folder));
    keep_best(best.second, run_once(peer, folder));
  }
  return best;
}

void add_time(Records& records, const std::string& row, const Cost& ours, const Cost& peer,
              std::string_view command) {
  records.add({.row = row,
               .value = ours.ms,
               .unit = "ms",
               .peer = fmt::format("{}: {:.1f} ms", command, peer.ms),
               .ratio = peer.ms / ours.ms});
}

int run(int argc, char** argv) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  Records records("manifest");
  double before = 0;
  for (const int edges : {12'500, 25'000, 50'000, 100'000}) {
    fmt::print(stderr, "{} edges …\n", edges);
    write_manifest(folder.path() / "build.ninja", edges);
    const auto [ours, peer] = compare({self, "load"}, {"ninja", "-t", "rules"}, folder.path());
    add_time(records, fmt::format("{} edges", edges), ours, peer, "ninja -t rules");
    if (before > 0) {
      records.add({.row = fmt::format("{} edges, growth", edges),
                   .value = ours.ms / before,
                   .unit = "times",
                   .peer = "linear: 2",
                   .ratio = 2 * before / ours.ms});
    }
    before = ours.ms;
    records.add({.row = fmt::format("{} edges, memory", edges),
                 .value = ours.mib,
                 .unit = "MiB",
                 .peer = fmt::format("ninja -t rules: {:.1f} MiB", peer.mib),
                 .ratio = peer.mib / ours.mib});
  }
  const auto [ours, peer] = compare({self, "hash"}, {"ninja", "-t", "commands"}, folder.path());
  add_time(records, "100000 edges, and their commands", ours, peer, "ninja -t commands");
  return records.finish(argc, argv);
}

// What is measured; in a process of its own.
int load(bool hash) {
  const Result<ninja::Manifest> manifest = ninja::Manifest::load(".");
  if (!manifest) {
    fmt::print(stderr, "{}", format_error(manifest.error()));
    return 1;
  }
  std::uint64_t sum = manifest->edge_count();
  for (ninja::EdgeId edge = 0; hash && edge < manifest->edge_count(); ++edge)
    sum += ninja::command_hash(manifest->logged_command(edge));
  fmt::print("{}\n", sum);
  return 0;
}

}  // namespace
}  // namespace sb::bench

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "load" || what == "hash") return sb::bench::load(what == "hash");
  return sb::bench::run(argc, argv);
}
