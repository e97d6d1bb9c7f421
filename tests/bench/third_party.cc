#include "bench/third_party.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>

#include <fmt/format.h>

#include "base/text.h"
#include "bench/commands.h"
#include "support/files.h"

namespace sb::bench {
namespace {

namespace fs = std::filesystem;
using tests::Finished;
using tests::Installation;

// "leveldb_1.23.orig.tar.gz": what upstream released, and what Debian adds.
fs::path archive(const fs::path& folder, const std::string& package, std::string_view kind) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(package + "_") && name.find(kind) != std::string::npos && !name.ends_with(".asc"))
      return entry.path();
  }
  fmt::print(stderr, "apt fetched no {} of {}\n", kind, package);
  std::exit(1);
}

bool is_header(std::string_view file) {
  return file.ends_with(".h") || file.ends_with(".hpp") || file.ends_with(".inc");
}

}  // namespace

const std::vector<Package>& packages() {
  static const std::vector<Package> kPackages = {
      {.name = "leveldb",
       .options = {"-DCMAKE_BUILD_TYPE=None", "-DLEVELDB_BUILD_TESTS=OFF", "-DLEVELDB_BUILD_BENCHMARKS=OFF"},
       .output = "leveldbutil"},
      {.name = "abseil",
       .options = {"-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_STANDARD=17"},
       .output = "absl/strings/libabsl_strings.a"},
      {.name = "geos", .options = {"-DCMAKE_BUILD_TYPE=None", "-DBUILD_TESTING=OFF"}, .output = "bin/geosop"},
  };
  return kPackages;
}

void fetch(const std::vector<Package>& packages, const fs::path& folder) {
  std::vector<std::string> argv = {SELFBUILD_SOURCE_DIR "/ci/debian-source", folder.string()};
  for (const Package& package : packages) argv.push_back(package.name);
  fs::create_directories(folder);
  must("ci/debian-source", tests::run_program(argv, folder, {}));
}

void import(const Package& package, const fs::path& fetched, const Installation& to) {
  const fs::path tree = to.repository();
  fs::create_directories(tree);
  const auto unpack = [&](std::string_view kind, const std::vector<std::string>& more) {
    std::vector<std::string> argv = {"tar", "-xf", archive(fetched, package.name, kind).string()};
    argv.insert(argv.end(), more.begin(), more.end());
    must("tar", tests::run_program(argv, tree, {}));
  };
  unpack(".orig.tar.", {"--strip-components=1"});
  unpack(".debian.tar.", {});
  std::string options;
  for (const std::string& option : package.options)
    options += fmt::format("{}\"{}\"", options.empty() ? "" : ", ", option);
  tests::write(tree / "selfbuild.yaml", fmt::format(R"(apiVersion: selfbuild/v1
kind: Project
metadata: {{name: {}}}
spec:
  build:
    options: [{}]
    outputs: [{}]
)",
                                                    package.name, options, package.output));
  (void)to.git({"init", "--quiet", "--initial-branch", "main"});
  (void)to.git({"add", "--all", "--force"});
  (void)to.git({"commit", "--quiet", "--message", package.name + ", as released"});
  (void)to.git({"gc", "--quiet"});  // packed, as a clone is
}

std::string head_of(const Installation& repository) {
  return std::string(trim(repository.git({"rev-parse", "HEAD"}).out));
}

std::vector<Change> commit_patches(const Installation& repository) {
  std::vector<Change> changes;
  const fs::path folder = repository.repository() / "debian/patches";
  const std::string series = tests::read(folder / "series");
  for (const std::string_view line : split_lines(series)) {
    const std::string name(trim(line.substr(0, line.find('#'))));
    if (name.empty()) continue;
    const Finished applied =
        tests::run_program({"git", "apply", "--index", "--whitespace=nowarn", (folder / name).string()},
                           repository.repository(), repository.environment);
    if (applied.code != 0) {
      fmt::print(stderr, "left out, does not apply: {}\n", name);
      continue;
    }
    (void)repository.git({"commit", "--quiet", "--message", name});
    changes.push_back({.commit = head_of(repository), .what = name});
  }
  return changes;
}

Change commit_touch(const Installation& repository, const std::vector<std::string>& files, unsigned seed) {
  std::mt19937 random(seed);
  const std::string& file = files[random() % files.size()];
  std::ofstream out(repository.repository() / file, std::ios::app);
  std::string how = "a declaration";
  if (!is_header(file)) {
    how = "a function";
    out << fmt::format("\nextern int touched_{0}(void);\nint touched_{0}(void) {{ return {0}; }}\n", seed);
  } else if (random() % 2 == 0) {
    how = "a comment";
    out << fmt::format("\n// touched: {}\n", seed);
  } else {
    out << fmt::format("\nextern int touched_{};\n", seed);
  }
  out.close();
  (void)repository.git({"commit", "--quiet", "--all", "--message", fmt::format("touch {}", file)});
  return {.commit = head_of(repository), .what = fmt::format("{} in {}", how, file)};
}

}  // namespace sb::bench
