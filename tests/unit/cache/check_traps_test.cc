// What an earlier run of CMake found out about the host is told to the next one, of other scripts; the build
// folder is the same as if it had found all of it out itself.
#include <fmt/format.h>

#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCheck =
    "include(CheckIncludeFileCXX)\ncheck_include_file_cxx(vector HAVE_VECTOR)\n";
constexpr std::string_view kLibrary =
    "add_library(tiny OBJECT main.cc)\n"
    "if(HAVE_VECTOR)\ntarget_compile_definitions(tiny PRIVATE VALUE=1)\nendif()\n";

class CheckTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    request_.options.clear();  // CMake finds its compilers itself
    write("main.cc", "#ifndef VALUE\n#define VALUE 0\n#endif\nint value = VALUE;\n");
    script(std::string(kCheck) + std::string(kLibrary));
  }
  void script(const std::string& text, const std::string& project = "tiny LANGUAGES CXX") {
    write("CMakeLists.txt",
          fmt::format("cmake_minimum_required(VERSION 3.25)\nproject({})\n{}", project, text));
  }
  // All that is in a build folder, but logs: they have times and random names in them.
  static std::map<std::string, std::string> all_of(const fs::path& build) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(build)) {
      const std::string path = entry.path().lexically_relative(build).string();
      if (path.ends_with(".log") || path.starts_with(".ninja_")) continue;
      files[path] = entry.is_symlink()        ? "-> " + fs::read_symlink(entry.path()).string()
                    : entry.is_regular_file() ? read(entry.path())
                                              : "";
    }
    return files;
  }
  Result<Built> build_from_nothing() {
    const fs::path stage = lay_out();
    build::BuildRequest request = request_;
    request.source = stage / "tree";
    request.build = stage / "build";
    request.log = folder() / "clean-log";
    request.view = build::stage_view(stage);
    request.cache = folder() / fmt::format("cache-{}", ++caches_);
    SB_TRY(build::BuildReport report, build::build(request, {}));
    return Built{.report = std::move(report), .tree = request.source, .build = request.build};
  }
  enum class Checks { told, made_again };
  void expect_as_from_nothing(Checks expected, const std::string& what) {
    ASSERT_OK(const Built built, build_and_listen());
    EXPECT_TRUE(built.report.configured) << what;
    ASSERT_OK(const Built clean, build_from_nothing());
    const auto right = all_of(clean.build);
    const auto made = all_of(built.build);
    EXPECT_TRUE(right.contains("CMakeCache.txt"));
    for (const auto& [path, bytes] : right) {
      const auto found = made.find(path);
      ASSERT_TRUE(found != made.end()) << what << ": " << path << " is missing";
      EXPECT_EQ(found->second, bytes) << what << ": " << path;
    }
    for (const auto& [path, bytes] : made) EXPECT_TRUE(right.contains(path)) << what << ": " << path;
    const bool looked_for_compiler = said_.find("Detecting CXX compiler ABI info") != std::string::npos;
    EXPECT_EQ(looked_for_compiler, expected == Checks::made_again) << what << ": " << said_;
  }
  Result<Built> build_and_listen() {
    const std::size_t before = fs::exists(folder() / "log") ? log().size() : 0;
    Result<Built> built = build();
    said_ = log().substr(before);
    return built;
  }
  // After a build of the project as it is, the same with other scripts.
  void expect_after(const std::string& text, Checks expected,
                    const std::string& project = "tiny LANGUAGES CXX") {
    ASSERT_GOOD(build());
    script(text, project);
    expect_as_from_nothing(expected, text);
  }

  std::string said_;  // by CMake and Ninja, in the last build that was listened to

 private:
  int caches_ = 0;
};

TEST_F(CheckTraps, changes_that_no_check_can_notice_make_none_again) {
  const std::string before(kCheck);
  const std::string after(kLibrary);
  write("more.cc", "int more = 1;\n");
  write("sub/CMakeLists.txt", "add_library(sub OBJECT ../more.cc)\n");
  expect_after(before + after + "add_library(more OBJECT more.cc)\n", Checks::told);
  expect_after("set(SOURCES more.cc)\nadd_library(more OBJECT ${SOURCES})\n" + before + after, Checks::told);
  expect_after(before + after + "add_subdirectory(sub)\n", Checks::told);
  expect_after("function(lib name)\nadd_library(${name} OBJECT ${ARGN})\nendfunction()\nlib(more more.cc)\n" +
                   before + after,
               Checks::told);
  expect_after(before + after, Checks::told, "tiny VERSION 1.2 LANGUAGES CXX");
  expect_all_hits();
}

TEST_F(CheckTraps, another_check_is_made_beside_those_that_are_known) {
  expect_after(std::string(kCheck) + std::string(kLibrary) + "check_include_file_cxx(map HAVE_MAP)\n",
               Checks::told);
  ASSERT_GOOD(build());
  script(std::string(kCheck) + std::string(kLibrary) +
         "check_include_file_cxx(map HAVE_MAP)\nmessage(STATUS more)\n");
  ASSERT_GOOD(build_and_listen());
  EXPECT_NE(said_.find("-- more"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("Looking for"), std::string::npos) << said_;
}

TEST_F(CheckTraps, what_is_set_for_a_check_is_noticed) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  for (const std::string before :
       {"set(CMAKE_REQUIRED_FLAGS -nostdinc++)\n", "set(CMAKE_CXX_FLAGS -nostdinc++)\n",
        "set(f -nostdinc)\nstring(APPEND CMAKE_REQUIRED_FLAGS \" ${f}++\")\n",
        "option(BARE \"\" ON)\nif(BARE)\nlist(APPEND CMAKE_REQUIRED_FLAGS -nostdinc++)\nendif()\n",
        "macro(bare to)\nset(${to} -nostdinc++)\nendmacro()\nbare(CMAKE_REQUIRED_FLAGS)\n"}) {
    script(rest);
    expect_after(before + rest, Checks::made_again);
  }
}

TEST_F(CheckTraps, what_comes_from_a_file_is_not_told_again) {
  write("flags.txt", "");
  script("file(READ flags.txt CMAKE_REQUIRED_FLAGS)\n" + std::string(kCheck) + std::string(kLibrary));
  ASSERT_GOOD(build());
  write("flags.txt", "-nostdinc++");
  expect_as_from_nothing(Checks::made_again, "another flags.txt");
}

TEST_F(CheckTraps, whoever_reads_a_result_before_its_check_finds_none) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  const std::string early = "add_compile_definitions(EARLY)\nendif()\n";
  for (const std::string before :
       {"if(NOT HAVE_VECTOR)\n", "if(NOT DEFINED HAVE_VECTOR)\n",
        "if(NOT \"${HAVE_VECTOR}\" STREQUAL \"1\")\n", "set(n VECTOR)\nif(NOT HAVE_${n})\n",
        "set(n VECTOR)\nif(NOT \"${HAVE_${n}}\" STREQUAL \"1\")\n",
        "set(n HAVE_VECTOR)\nif(NOT \"${${n}}\" STREQUAL \"1\")\n",
        "if(NOT CMAKE_HAVE_IT AND NOT \"$CACHE{HAVE_VECTOR}\" STREQUAL \"1\")\n"}) {
    script(rest);
    expect_after(before + early + rest, Checks::made_again);
  }
}

TEST_F(CheckTraps, who_lists_all_entries_finds_those_of_this_run) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  expect_after(
      "get_cmake_property(all CACHE_VARIABLES)\nlist(LENGTH all n)\nadd_compile_definitions(COUNT=${n})\n" +
          rest,
      Checks::made_again);
}

TEST_F(CheckTraps, a_check_that_is_gone_leaves_no_entry) {
  expect_after(std::string(kLibrary), Checks::made_again);
}

TEST_F(CheckTraps, another_question_of_the_same_name_is_asked) {
  expect_after("include(CheckIncludeFileCXX)\ncheck_include_file_cxx(no_such_header HAVE_VECTOR)\n" +
                   std::string(kLibrary),
               Checks::made_again);
}

TEST_F(CheckTraps, an_entry_that_the_project_sets_is_the_projects) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  script("set(HAVE_VECTOR \"\" CACHE INTERNAL \"\")\n" + rest);
  expect_after("set(HAVE_VECTOR 1 CACHE INTERNAL \"\")\n" + rest, Checks::told);
  script(rest + "set(CMAKE_CXX_FLAGS -DONE CACHE STRING \"\" FORCE)\n");
  expect_after(rest + "set(CMAKE_CXX_FLAGS -DTWO CACHE STRING \"\" FORCE)\n", Checks::told);
  script(rest + "set(CMAKE_AR /usr/bin/ar CACHE FILEPATH \"\" FORCE)\n");
  expect_after(rest + "set(CMAKE_AR /bin/ar CACHE FILEPATH \"\" FORCE)\n", Checks::made_again);
}

TEST_F(CheckTraps, headers_of_the_project_are_looked_at_every_time) {
  const std::string rest =
      "include(CheckIncludeFileCXX)\nset(CMAKE_REQUIRED_INCLUDES ${CMAKE_SOURCE_DIR}/include)\n"
      "check_include_file_cxx(what.h HAVE_VECTOR)\n" +
      std::string(kLibrary);
  write("include/what.h", "");
  script(rest);
  ASSERT_GOOD(build());
  write("include/what.h", "#error no\n");
  script(rest + "message(STATUS more)\n");
  expect_as_from_nothing(Checks::told, "another header");  // of the compiler
}

TEST_F(CheckTraps, compilers_are_looked_for_in_another_state) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  expect_after(rest, Checks::made_again, "tiny LANGUAGES CXX C");
  ASSERT_GOOD(build());
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nset(CMAKE_CXX_FLAGS -funsigned-char)\n"
        "project(tiny LANGUAGES CXX C)\n" +
            rest);
  expect_as_from_nothing(Checks::made_again, "other flags before project()");
}

TEST_F(CheckTraps, what_a_cycle_on_trial_found_is_not_told_to_others) {
  request_.cache_owner = 7;
  ASSERT_GOOD(build());
  request_.cache_owner = 0;
  script(std::string(kCheck) + std::string(kLibrary) + "message(STATUS more)\n");
  expect_as_from_nothing(Checks::made_again, "after a cycle on trial");
}

TEST_F(CheckTraps, a_project_that_moves_cmakes_files_leads_nobody_out) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  fs::create_directories(host());
  ASSERT_GOOD(build());
  script(rest + fmt::format("set(f ${{CMAKE_BINARY_DIR}}/CMakeFiles/${{CMAKE_VERSION}})\nfile(RENAME ${{f}} "
                            "${{f}}-away)\nfile(CREATE_LINK {} ${{f}} SYMBOLIC)\n",
                            host().string()));
  (void)build();
  EXPECT_TRUE(fs::is_empty(host()));
}

}  // namespace
}  // namespace sb::tests
