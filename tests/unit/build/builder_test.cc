// Real builds of a tiny project: what is configured, what runs, and what a failure says.
#include "build/builder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

class Builder : public testing::Test {
 protected:
  void SetUp() override {
    cmake("");
    source("main.cc", "int answer();\nint main() { return answer() - 42; }\n");
    source("answer.cc", "int answer() { return 42; }\n");
    request_.source = folder_.path() / "tree";
    request_.build = folder_.path() / "build";
    request_.log = folder_.path() / "log";
    request_.jobs = 2;
    request_.envelope.wall = std::chrono::minutes(5);
  }
  void source(const std::string& name, const std::string& text) {
    tests::write(folder_.path() / "tree" / name, text);
  }
  void cmake(const std::string& more) {
    source("CMakeLists.txt",
           "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\nadd_executable(tiny main.cc "
           "answer.cc)\n" +
               more);
  }
  // Later than whatever was built (the kernel stamps files with a coarser clock, which lags behind this one)
  // and never in the future: Ninja would find build.ninja older than its inputs for ever.
  void touch(const std::string& name) {
    fs::last_write_time(folder_.path() / "tree" / name, fs::file_time_type::clock::now());
  }
  Result<BuildReport> run() {
    progress_.clear();
    return build(request_, [&](const Progress& progress) { progress_.push_back(progress); });
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  BuildRequest request_;
  std::vector<Progress> progress_;
};

TEST_F(Builder, runs_only_what_changed) {
  ASSERT_OK(const BuildReport first, run());
  EXPECT_TRUE(first.configured);
  EXPECT_EQ(first.configure_reason, "first time");
  EXPECT_EQ(first.edges_run, 3);
  EXPECT_EQ(first.edges_total, 3);
  EXPECT_FALSE(first.compiler.empty());
  EXPECT_TRUE(parse_json(first.options).has_value()) << first.options;
  EXPECT_TRUE(fs::exists(request_.build / "tiny"));
  ASSERT_FALSE(progress_.empty());
  EXPECT_EQ(progress_.front().phase, Progress::Phase::configuring);
  int done = 0;
  for (const Progress& step : progress_) {
    if (step.phase == Progress::Phase::configuring) continue;
    EXPECT_GE(step.done, done);
    EXPECT_LE(step.done, step.total);
    done = step.done;
  }
  EXPECT_EQ(done, 3);

  ASSERT_OK(const BuildReport second, run());
  EXPECT_FALSE(second.configured) << second.configure_reason;
  EXPECT_EQ(second.edges_run, 0);
  EXPECT_EQ(second.edges_total, 3);
  EXPECT_EQ(second.compiler, first.compiler);
  EXPECT_TRUE(progress_.empty());

  touch("answer.cc");
  ASSERT_OK(const BuildReport third, run());
  EXPECT_FALSE(third.configured) << third.configure_reason;
  EXPECT_EQ(third.edges_run, 2) << "the object and the program";
}

TEST_F(Builder, leaves_nothing_beside_the_build_folder_and_a_full_log) {
  ASSERT_GOOD(run());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"build", "log", "tree"}));
  const std::string log = tests::read(request_.log);
  EXPECT_NE(log.find("$ cmake -G Ninja"), std::string::npos) << log;
  EXPECT_NE(log.find("Linking CXX executable tiny"), std::string::npos) << log;
}

TEST_F(Builder, configures_again_with_the_reason) {
  ASSERT_GOOD(run());
  cmake("target_compile_definitions(tiny PRIVATE MORE)\n");
  touch("CMakeLists.txt");
  ASSERT_OK(const BuildReport changed, run());
  EXPECT_EQ(changed.configure_reason, "CMakeLists.txt changed");
  EXPECT_EQ(changed.edges_run, 3);

  request_.options = {"-DCMAKE_BUILD_TYPE=Release"};
  ASSERT_OK(const BuildReport options, run());
  EXPECT_EQ(options.configure_reason, "the options changed");
  ASSERT_OK(const Json given, parse_json(options.options));
  EXPECT_EQ(given["build_type"], "Release");

  request_.options.clear();
  ASSERT_OK(const BuildReport back, run());
  ASSERT_OK(const Json none, parse_json(back.options));
  EXPECT_EQ(none["build_type"], "") << "an option that is no longer given must not live on in the cache";
}

TEST_F(Builder, notices_new_files_of_a_glob) {
  source("CMakeLists.txt",
         "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\n"
         "file(GLOB sources CONFIGURE_DEPENDS *.cc)\nadd_executable(tiny ${sources})\n");
  ASSERT_GOOD(run());
  ASSERT_OK(const BuildReport second, run());
  EXPECT_FALSE(second.configured) << second.configure_reason;
  EXPECT_EQ(second.edges_run, 0);
  source("more.cc", "int more() { return 1; }\n");
  ASSERT_OK(const BuildReport third, run());
  EXPECT_TRUE(third.configured);
  EXPECT_EQ(third.edges_run, 2);
  EXPECT_EQ(third.edges_total, 4);
  ASSERT_OK(const BuildReport fourth, run());
  EXPECT_FALSE(fourth.configured) << fourth.configure_reason;
}

TEST_F(Builder, notices_new_and_removed_files_of_a_glob_that_cmake_does_not_watch) {
  source("CMakeLists.txt",
         "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\n"
         "file(GLOB sources *.cc)\nadd_executable(tiny ${sources})\n");
  source("more.cc", "int more() { return 1; }\n");
  ASSERT_GOOD(run());
  std::filesystem::remove(request_.source / "more.cc");
  ASSERT_OK(const BuildReport removed, run());
  EXPECT_EQ(removed.configure_reason, "files were added or removed");
  EXPECT_EQ(removed.edges_total, 3);
  source("again.cc", "int again() { return 1; }\n");
  ASSERT_OK(const BuildReport added, run());
  EXPECT_EQ(added.configure_reason, "files were added or removed");
  EXPECT_EQ(added.edges_total, 4);
  ASSERT_OK(const BuildReport same, run());
  EXPECT_FALSE(same.configured) << same.configure_reason;
}

TEST_F(Builder, uses_presets_and_notices_their_changes) {
  const auto preset = [&](const std::string& type) {
    source("CMakePresets.json",
           R"({"version": 6, "configurePresets": [{"name": "p", "binaryDir": "${sourceDir}/elsewhere",
        "cacheVariables": {"CMAKE_BUILD_TYPE": ")" +
               type + "\"}}]}");
  };
  preset("Debug");
  request_.preset = "p";
  ASSERT_OK(const BuildReport first, run());
  ASSERT_OK(const Json debug, parse_json(first.options));
  EXPECT_EQ(debug["build_type"], "Debug");
  EXPECT_FALSE(fs::exists(request_.source / "elsewhere")) << "the stage's build folder wins";
  preset("RelWithDebInfo");
  ASSERT_OK(const BuildReport second, run());
  EXPECT_EQ(second.configure_reason, "CMakePresets.json changed");
  ASSERT_OK(const Json release, parse_json(second.options));
  EXPECT_EQ(release["build_type"], "RelWithDebInfo");
}

TEST_F(Builder, refuses_a_generator_that_is_not_ninja) {
  source("CMakePresets.json",
         R"({"version": 6, "configurePresets": [{"name": "p", "generator": "Ninja Multi-Config",
                                  "binaryDir": "${sourceDir}/b"}]})");
  request_.preset = "p";
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::usage);
  EXPECT_EQ(result.error().what, "the preset \"p\" uses a generator that is not Ninja");
  EXPECT_EQ(result.error().found, "\"generator\": \"Ninja Multi-Config\"");
}

TEST_F(Builder, sums_up_compile_errors) {
  source("answer.cc", "int answer() { return forty_two; }\nint other() { return nothing; }\n");
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::build_failed);
  EXPECT_EQ(result.error().what, "build failed: 2 errors in 1 file");
  EXPECT_EQ(result.error().log.find("answer.cc:1:23: error: "), 0U) << result.error().log;
  EXPECT_EQ(result.error().next, "less " + request_.log.string());

  source("answer.cc", "int answer() { return 42; }\n");
  touch("answer.cc");
  ASSERT_OK(const BuildReport mended, run());
  EXPECT_FALSE(mended.configured) << "a failed build is still configured";
}

TEST_F(Builder, sums_up_link_errors) {
  source("answer.cc", "int other() { return 1; }\n");
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().log.find("undefined reference to `answer()'"), std::string::npos)
      << format_error(result.error());
}

TEST_F(Builder, quotes_cmake_and_configures_again_after_a_failure) {
  cmake("message(FATAL_ERROR \"no such luck\")\n");
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::build_failed);
  EXPECT_EQ(result.error().what, "configure failed: 1 error in 1 file");
  EXPECT_EQ(result.error().log, "CMakeLists.txt:4: error: no such luck");
  cmake("");
  ASSERT_OK(const BuildReport mended, run());
  EXPECT_TRUE(mended.configured);
}

TEST_F(Builder, builds_the_targets_that_were_asked_for) {
  cmake("add_executable(spare EXCLUDE_FROM_ALL main.cc answer.cc)\n");
  request_.targets = {"spare"};
  ASSERT_OK(const BuildReport report, run());
  EXPECT_EQ(report.edges_total, 3);
  EXPECT_FALSE(fs::exists(request_.build / "tiny"));
  request_.targets = {"spair"};
  const auto missing = run();
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().what, "build failed: unknown target 'spair', did you mean 'spare'?");
}

TEST_F(Builder, fails_on_a_reply_that_the_project_forged) {
  // The reply is read again when Ninja ran CMake; an edge of the same run has written a newer one by then.
  source("deep.json", std::string(200'000, '[') + std::string(200'000, ']'));
  source("CMakeLists.txt",
         "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES NONE)\n"
         "file(GLOB files CONFIGURE_DEPENDS ../outside/*.txt)\n"
         "add_custom_target(forge ALL COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/deep.json "
         "${CMAKE_BINARY_DIR}/.cmake/api/v1/reply/index-9999.json)\n");
  ASSERT_GOOD(run());
  source("../outside/new.txt", "");
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
  EXPECT_NE(result.error().what.find("JSON text nested deeper than 64"), std::string::npos)
      << result.error().what;
}

TEST_F(Builder, gives_the_project_a_clean_environment) {
  ::setenv("SELFBUILD_SECRET", "hunter2", 1);
  ::setenv("CXXFLAGS", "-DFROM_OUTSIDE", 1);
  cmake("message(STATUS \"secret=[$ENV{SELFBUILD_SECRET}] flags=[$ENV{CXXFLAGS}] home=[$ENV{HOME}]\")\n");
  ASSERT_GOOD(run());
  ::unsetenv("SELFBUILD_SECRET");
  ::unsetenv("CXXFLAGS");
  const std::string log = tests::read(request_.log);
  EXPECT_NE(log.find("secret=[] flags=[] home=[" + folder_.path().string()), std::string::npos) << log;
}

TEST_F(Builder, stops_when_asked) {
  std::stop_source stop;
  cmake("add_custom_target(wait ALL COMMAND sleep 600)\n");
  const auto result = build(
      request_,
      [&](const Progress& progress) {
        if (progress.phase == Progress::Phase::building) stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::interrupted) << format_error(result.error());
}

TEST_F(Builder, says_when_a_build_takes_too_long) {
  cmake("execute_process(COMMAND sleep 600)\n");
  request_.envelope.wall = std::chrono::milliseconds(300);
  const auto result = run();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::build_failed);
  EXPECT_NE(result.error().what.find("over its wall time"), std::string::npos) << result.error().what;
}

TEST_F(Builder, names_the_packages_when_a_tool_is_missing) {
  const char* const before = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
  const std::string path = before == nullptr ? "" : before;
  ::setenv("PATH", folder_.path().c_str(), 1);
  const auto result = run();
  ::setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::environment);
  EXPECT_EQ(result.error().what, "no cmake in PATH");
  EXPECT_EQ(result.error().next, "apt-get install cmake ninja-build");
}

}  // namespace
}  // namespace sb::build
