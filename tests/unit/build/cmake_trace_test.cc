// What CMake's scripts read, by the trace of a real run.
#include "build/cmake_trace.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "os/file_system.h"
#include "support/files.h"
#include "support/program.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CMakeTrace : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    tests::write(folder_.path() / "tree" / path, text);
  }
  // Runs CMake on the script; paths of the result below the source are relative to it.
  TracedReads reads(const std::string& script) {
    write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES NONE)\n" + script);
    std::vector<std::string> argv = {"cmake", "-G", "Ninja", "-S", places_.source, "-B", places_.build};
    for (std::string& option : trace_options(trace_)) argv.push_back(std::move(option));
    const tests::Finished cmake = tests::run_program(argv, folder_.path(), {{"PATH", "/usr/bin:/bin"}});
    EXPECT_EQ(cmake.code, 0) << cmake.all();
    Result<TracedReads> found = read_trace(trace_, places_);
    EXPECT_TRUE(found.has_value());
    if (!found) return {};
    for (std::string& input : found->inputs) {
      if (input.starts_with(places_.source + "/")) input = input.substr(places_.source.size() + 1);
    }
    return *std::move(found);
  }
  std::vector<std::string> inputs(const std::string& script) { return reads(script).inputs; }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::filesystem::path trace_ = folder_.path() / "trace.json";
  cache::Places places_{.source = (folder_.path() / "tree").string(),
                        .build = (folder_.path() / "build").string(),
                        .view = std::nullopt};
};

TEST_F(CMakeTrace, names_files_that_are_read_and_no_others) {
  for (const char* file : {"a.txt", "b/a.txt", "b/c.cc", "d.txt"}) write(file, "text\n");
  EXPECT_THAT(inputs("file(READ ${CMAKE_SOURCE_DIR}/b/a.txt v)\n"), ElementsAre("b/a.txt"));
  EXPECT_THAT(inputs("file(READ a.txt v)\n"), ElementsAre("a.txt", "b/a.txt"))
      << "from which folder is not known";
  EXPECT_THAT(inputs("set(n c)\nFILE(STRINGS b/${n}.cc v)\n"), ElementsAre("b/c.cc"));
  EXPECT_THAT(
      inputs("file(SHA256 ${CMAKE_SOURCE_DIR}/d.txt v)\nfile(WRITE ${CMAKE_BINARY_DIR}/a.txt d.txt)\n"),
      ElementsAre("d.txt"));
  EXPECT_THAT(
      inputs("file(READ ${CMAKE_SOURCE_DIR}/d.txt v)\nfile(WRITE ${CMAKE_BINARY_DIR}/o ${v})\nfile(READ "
             "${CMAKE_BINARY_DIR}/o w)\n"),
      ElementsAre("d.txt"))
      << "what CMake made follows from the rest";
  EXPECT_THAT(inputs("set(v b/c.cc)\nadd_custom_target(x DEPENDS d.txt)\n"), IsEmpty());
  EXPECT_THAT(inputs("file(READ /etc/passwd v)\n"), ElementsAre("/etc/passwd"));
}

TEST_F(CMakeTrace, sees_through_functions_and_evaluated_code) {
  write("a.txt", "");
  for (const std::string script :
       {"function(f x)\nfile(READ ${x} v)\nendfunction()\nf(a.txt)\n",
        "cmake_language(CALL file READ a.txt v)\n", "cmake_language(EVAL CODE [[file(READ a.txt v)]])\n",
        "cmake_language(DEFER CALL file READ a.txt v)\n", "include(${CMAKE_SOURCE_DIR}/more.cmake)\n"}) {
    write("more.cmake", "file(READ ${CMAKE_CURRENT_LIST_DIR}/a.txt v)\n");
    EXPECT_THAT(inputs(script), ElementsAre("a.txt")) << script;
  }
}

TEST_F(CMakeTrace, takes_folders_that_are_copied_whole) {
  write("data/deep/x", "");
  EXPECT_THAT(inputs("file(COPY data DESTINATION ${CMAKE_BINARY_DIR})\n"), ElementsAre("data/"));
  EXPECT_THAT(inputs("file(COPY ${CMAKE_SOURCE_DIR}/data/ DESTINATION ${CMAKE_BINARY_DIR})\n"),
              ElementsAre("data/"));
}

TEST_F(CMakeTrace, knows_words_that_name_no_input) {
  for (const char* file : {"include/a.h", "data/b.txt", "c.txt"}) write(file, "");
  EXPECT_THAT(
      inputs("file(COPY c.txt DESTINATION ${CMAKE_BINARY_DIR}/x)\nfile(COPY ${CMAKE_SOURCE_DIR}/c.txt "
             "DESTINATION include PATTERN data EXCLUDE)\n"),
      ElementsAre("c.txt"));
  EXPECT_THAT(inputs("file(GENERATE OUTPUT x CONTENT \"include data c.txt\")\n"), IsEmpty());
  EXPECT_THAT(inputs("file(CONFIGURE OUTPUT x CONTENT \"include data c.txt\")\n"), IsEmpty());
  EXPECT_THAT(inputs("file(GENERATE OUTPUT x INPUT ${CMAKE_SOURCE_DIR}/c.txt)\n"), ElementsAre("c.txt"));
}

TEST_F(CMakeTrace, lets_a_program_read_all_that_it_is_told_of) {
  write("sub/a.txt", "");
  EXPECT_THAT(inputs("execute_process(COMMAND true sub libfoo)\n"), IsEmpty());
  EXPECT_THAT(inputs("execute_process(COMMAND true --file=${CMAKE_SOURCE_DIR}/sub/a.txt)\n"),
              ElementsAre(""));
  EXPECT_THAT(inputs("execute_process(COMMAND true ../tree/sub)\n"), ElementsAre(""));
  EXPECT_THAT(inputs("execute_process(COMMAND true WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})\n"),
              ElementsAre(""));
}

TEST_F(CMakeTrace, knows_how_a_program_may_hear_of_the_source) {
  EXPECT_THAT(inputs("file(WRITE ${CMAKE_BINARY_DIR}/run.sh \"cat ${CMAKE_SOURCE_DIR}/x\")\n"
                     "execute_process(COMMAND sh ${CMAKE_BINARY_DIR}/run.sh)\n"),
              ElementsAre(""));
  EXPECT_THAT(inputs("set(ENV{FROM} ${CMAKE_SOURCE_DIR})\nexecute_process(COMMAND true)\n"), ElementsAre(""));
  EXPECT_THAT(inputs("set(ENV{FROM} elsewhere)\nexecute_process(COMMAND true)\n"), IsEmpty());
}

TEST_F(CMakeTrace, knows_paths_with_blanks) {
  write("my data/x", "");
  EXPECT_THAT(inputs("file(COPY \"${CMAKE_SOURCE_DIR}/my data\" DESTINATION ${CMAKE_BINARY_DIR})\n"),
              ElementsAre("my data/"));
}

TEST_F(CMakeTrace, knows_that_git_finds_no_repository_in_a_view) {
  const std::string script =
      "execute_process(COMMAND git describe WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE v "
      "ERROR_QUIET)\n";
  EXPECT_TRUE(reads(script).tells_time) << "every commit has another answer";
  places_.view.emplace();
  const Result<TracedReads> seen = read_trace(trace_, places_);
  ASSERT_TRUE(seen.has_value());
  EXPECT_FALSE(seen->tells_time);
}

TEST_F(CMakeTrace, names_what_is_looked_for) {
  EXPECT_THAT(inputs("set(n x)\nif(EXISTS ${CMAKE_SOURCE_DIR}/${n}${n})\nendif()\n"), ElementsAre("?xx"));
  EXPECT_THAT(inputs("set(n *.cc)\nfile(GLOB_RECURSE v ${CMAKE_SOURCE_DIR}/src/${n})\n"),
              ElementsAre("?*.cc"));
  write("src/a.cc", "");
  EXPECT_THAT(inputs("aux_source_directory(${CMAKE_SOURCE_DIR}/src v)\n"), ElementsAre("src/"));
}

TEST_F(CMakeTrace, knows_a_time_and_chance_of_the_projects_own) {
  EXPECT_TRUE(reads("string(TIMESTAMP v)\n").tells_time);
  EXPECT_TRUE(reads("string(RANDOM v)\n").tells_time);
  EXPECT_TRUE(reads("execute_process(COMMAND date)\n").tells_time);
  EXPECT_FALSE(reads("string(LENGTH TIMESTAMP v)\nif(0)\nstring(TIMESTAMP v)\nendif()\n").tells_time);
}

TEST_F(CMakeTrace, refuses_what_is_no_trace) {
  const auto refused = [&] { return read_trace(trace_, places_); };
  EXPECT_ERROR(ErrorKind::corrupt, refused());  // it is missing
  for (const std::string text : {"", "{}\n", "{\"version\":{\"major\":2,\"minor\":0}}\n"}) {
    tests::write(trace_, text);
    EXPECT_ERROR(ErrorKind::corrupt, refused());
  }
  const std::string version = "{\"version\":{\"major\":1,\"minor\":2}}\n";
  for (const std::string line : {R"({"args":["READ","cmd":"file"})", R"({"cmd":"file"})",
                                 R"({"args":[1],"cmd":"file"})", R"({"args":"READ","cmd":"file"})"}) {
    tests::write(trace_, version + line + "\n");
    EXPECT_ERROR(ErrorKind::corrupt, refused());
  }
  tests::write(trace_, version + R"({"args":["READ","x","\"cmd\":\"file\""],"cmd":"message"})" + "\n");
  EXPECT_TRUE(refused().has_value()) << "a command's name in an argument is no command";
  std::filesystem::remove(trace_);
  ASSERT_EQ(::mkfifo(trace_.c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::corrupt, refused());
}

}  // namespace
}  // namespace sb::build
