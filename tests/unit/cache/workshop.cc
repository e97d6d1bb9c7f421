#include "unit/cache/workshop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

void set_time(const fs::path& path, std::int64_t ns) {
  const timespec time{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  const timespec times[] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

// What CMake writes when it configures; its texts have the same paths in every stage, but not the same times.
bool is_own_file(const std::string& path) {
  for (const std::string_view name :
       {".cmake", ".ninja_log", ".ninja_deps", ".ninja_lock", "build.ninja", "CMakeCache.txt",
        "cmake_install.cmake", "selfbuild-configure.json", "CMakeFiles/rules.ninja",
        "CMakeFiles/TargetDirectories.txt", "CMakeFiles/cmake.check_cache", "CMakeFiles/CMakeOutput.log",
        "CMakeFiles/3.", "CMakeFiles/VerifyGlobs", "CMakeFiles/cmake.verify_globs",
        "CMakeFiles/CMakeError"}) {
    if (path.starts_with(name)) return true;
  }
  return false;
}

}  // namespace

std::map<std::string, std::string> products_of(const fs::path& build) {
  std::map<std::string, std::string> products;
  for (const auto& entry : fs::recursive_directory_iterator(build)) {
    std::string path = entry.path().lexically_relative(build).string();
    if (is_own_file(path)) continue;
    if (entry.is_symlink()) {
      products[path] = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      products[path] = read(entry.path());
    }
  }
  return products;
}

void Workshop::SetUp() {
  if (with_view_ && !build::stage_view(folder_.path()))
    GTEST_SKIP() << "this host gives no private mounts: stages share no results";
  request_.jobs = 2;
  request_.envelope.wall = std::chrono::minutes(5);
  // What CMake would find out by compiling; the toolbox of the cache asks the compiler itself.
  request_.options = {"-DCMAKE_CXX_COMPILER=/usr/bin/g++",
                      "-DCMAKE_CXX_COMPILER_FORCED=ON",
                      "-DCMAKE_CXX_COMPILER_ID_RUN=ON",
                      "-DCMAKE_CXX_COMPILER_ID=GNU",
                      "-DCMAKE_CXX_COMPILER_VERSION=12.2",
                      "-DCMAKE_CXX_STANDARD_COMPUTED_DEFAULT=17",
                      "-DCMAKE_CXX_EXTENSIONS_COMPUTED_DEFAULT=ON"};
}

void Workshop::cmake(const std::string& text) {
  write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\n" + text);
}

fs::path Workshop::lay_out(const std::string& name) {
  const fs::path stage = folder_.path() / (name.empty() ? fmt::format("stage-{}", ++stages_) : name);
  for (const auto& [path, file] : files_) {
    const fs::path to = stage / "tree" / path;
    if (file.symlink) {
      fs::create_directories(to.parent_path());
      fs::create_symlink(file.text, to);
    } else {
      tests::write(to, file.text);
      if (file.executable) fs::permissions(to, fs::perms::owner_all | fs::perms::group_exec);
    }
    set_time(to, path == "CMakeLists.txt" ? os::kSourceTimeNs : source_time_ns_);
  }
  return stage;
}

Result<Workshop::Built> Workshop::build_in(const fs::path& stage, bool with_cache,
                                           const std::string& log) const {
  build::BuildRequest request = request_;
  request.source = stage / "tree";
  request.build = stage / "build";
  request.log = folder_.path() / log;
  if (with_view_) request.view = build::stage_view(stage);
  if (with_cache) request.cache = cache();
  SB_TRY(build::BuildReport report, build::build(request, {}));
  return Built{.report = std::move(report), .tree = request.source, .build = request.build};
}

Result<Workshop::Built> Workshop::build() {
  Result<Built> built = build_in(lay_out(), true);
  EXPECT_EQ(built ? built->report.cache_note : "", "");
  return built;
}

Result<Workshop::Built> Workshop::build_without_cache() {
  return build_in(lay_out(), false);
}

Workshop::Built Workshop::build_and_compare() {
  Result<Built> cached = build();
  const Result<Built> plain = build_without_cache();
  EXPECT_TRUE(cached.has_value()) << (cached ? "" : format_error(cached.error()));
  EXPECT_TRUE(plain.has_value()) << (plain ? "" : format_error(plain.error()));
  if (!cached || !plain) return cached ? *std::move(cached) : Built{};
  const auto right = products_of(plain->build);
  const auto made = products_of(cached->build);
  EXPECT_FALSE(right.empty());
  for (const auto& [path, bytes] : right) {
    const auto found = made.find(path);
    EXPECT_TRUE(found != made.end()) << path << " is missing";
    EXPECT_TRUE(found == made.end() || found->second == bytes) << path << " is not what a build makes";
  }
  for (const auto& [path, bytes] : made) EXPECT_TRUE(right.contains(path)) << path << " should not be there";
  return *std::move(cached);
}

void Workshop::expect_all_hits() {
  ASSERT_OK(const Built again, build());
  EXPECT_FALSE(again.report.configured) << again.report.configure_reason;
  EXPECT_EQ(again.report.edges_cached, again.report.edges_total);
  EXPECT_EQ(again.report.edges_run, 0);
}

}  // namespace sb::tests
