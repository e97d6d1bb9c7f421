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
  // What CMake had to find out itself.
  enum class Asked { nothing, checks, all };
  void expect_as_from_nothing(Asked expected, const std::string& what) {
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
    const auto says = [&](std::string_view text) { return said_.find(text) != std::string::npos; };
    const Asked asked = says("Detecting CXX compiler ABI info") ? Asked::all
                        : says("Looking for C++ include")       ? Asked::checks
                                                                : Asked::nothing;
    EXPECT_EQ(asked, expected) << what << ": " << said_;
  }
  Result<Built> build_and_listen() {
    const std::size_t before = fs::exists(folder() / "log") ? log().size() : 0;
    Result<Built> built = build();
    said_ = log().substr(before);
    return built;
  }
  // After a build of the project as it is, the same with other scripts. From an empty cache.
  void expect_after(const std::string& text, Asked expected,
                    const std::string& project = "tiny LANGUAGES CXX") {
    fs::remove_all(cache());
    ASSERT_GOOD(build());
    script(text, project);
    expect_as_from_nothing(expected, text);
  }

  std::string said_;  // by CMake and Ninja, in the last build that was listened to

 private:
  int caches_ = 0;
};

TEST_F(CheckTraps, what_comes_after_a_check_does_not_make_it_again) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  write("more.cc", "int more = 1;\n");
  write("sub/CMakeLists.txt", "add_library(sub OBJECT ../more.cc)\n");
  expect_after(rest + "add_library(more OBJECT more.cc)\n", Asked::nothing);
  expect_all_hits();
  expect_after(rest + "add_subdirectory(sub)\n", Asked::nothing);
  script(rest + "add_subdirectory(sub)\n");
  write("sub/CMakeLists.txt", "add_library(other OBJECT ../more.cc)\n");
  expect_as_from_nothing(Asked::nothing, "a script of a folder");
  expect_after(rest +
                   "if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)\nset(CMAKE_INSTALL_PREFIX /opt/x CACHE "
                   "PATH \"\" FORCE)\nendif()\n",
               Asked::nothing);
}

TEST_F(CheckTraps, another_check_is_made_beside_those_that_are_known) {
  const std::string two =
      std::string(kCheck) + std::string(kLibrary) + "check_include_file_cxx(map HAVE_MAP)\n";
  expect_after(two, Asked::checks);
  EXPECT_EQ(said_.find("vector"), std::string::npos) << said_;
  script(two + "message(STATUS more)\n");
  expect_as_from_nothing(Asked::nothing, "after both");
}

TEST_F(CheckTraps, what_comes_before_a_check_makes_it_again) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  for (const std::string before :
       {"set(CMAKE_REQUIRED_FLAGS -nostdinc++)\n", "set(CMAKE_CXX_FLAGS -nostdinc++)\n",
        "set(f -nostdinc++)\nlist(JOIN f \" \" CMAKE_REQUIRED_FLAGS)\n",
        "foreach(CMAKE_REQUIRED_FLAGS IN ITEMS -nostdinc++)\nendforeach()\nset(l -nostdinc++)\n"
        "foreach(f IN LISTS l)\nset(CMAKE_REQUIRED_FLAGS ${f})\nendforeach()\n",
        "macro(bare to)\nset(${to} -nostdinc++)\nendmacro()\nbare(CMAKE_REQUIRED_FLAGS)\n"}) {
    script(rest);
    expect_after(before + rest, Asked::checks);
  }
  const std::string bare = "\nset(CMAKE_REQUIRED_FLAGS -nostdinc++)\n";
  script("function(bare)" + bare + "endfunction()\nbare()\n" + rest);
  expect_after("macro(bare)" + bare + "endmacro()\nbare()\n" + rest, Asked::checks);
  script("block()" + bare + "endblock()\n" + rest);
  expect_after("block()\nendblock()" + bare + rest, Asked::checks);
}

TEST_F(CheckTraps, whoever_reads_a_result_before_its_check_finds_none) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  const std::string early = "add_compile_definitions(EARLY)\nendif()\n";
  write("early.h.in", "#cmakedefine HAVE_VECTOR\n");
  for (const std::string& before :
       {"if(NOT HAVE_VECTOR)\n" + early, "if(NOT DEFINED HAVE_VECTOR)\n" + early,
        "if(NOT \"${HAVE_VECTOR}\" STREQUAL \"1\")\n" + early, "set(n VECTOR)\nif(NOT HAVE_${n})\n" + early,
        "set(n VECTOR)\nif(NOT \"${HAVE_${n}}\" STREQUAL \"1\")\n" + early,
        "set(n HAVE_VECTOR)\nif(NOT \"${${n}}\" STREQUAL \"1\")\n" + early,
        "if(NOT \"$CACHE{HAVE_VECTOR}\" STREQUAL \"1\")\n" + early,
        std::string("configure_file(early.h.in early.h)\n")}) {
    script(rest);
    expect_after(before + rest, Asked::checks);
    expect_after(before + rest + "message(STATUS more)\n", Asked::all);
  }
}

TEST_F(CheckTraps, who_lists_all_entries_finds_those_of_this_run) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  for (const std::string list :
       {"get_cmake_property(all CACHE_VARIABLES)\n", "get_cmake_property(all VARIABLES)\n",
        "get_directory_property(all CACHE_VARIABLES)\n",
        "get_property(all DIRECTORY PROPERTY VARIABLES)\n"}) {
    script(rest);
    expect_after(rest + list + "list(LENGTH all n)\nadd_compile_definitions(COUNT=${n})\n", Asked::all);
  }
}

TEST_F(CheckTraps, what_a_check_leaves_besides_its_result_is_left) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  for (const std::string look : {"if(DEFINED OUTPUT)\n", "if(NOT \"${OUTPUT}\" STREQUAL \"\")\n"}) {
    script(rest);
    expect_after(rest + look + "add_compile_definitions(LEFT)\nendif()\n", Asked::all);
  }
  script("include(CheckTypeSize)\ncheck_type_size(int SIZE LANGUAGE CXX)\n" + rest);
  expect_after(
      "include(CheckTypeSize)\ncheck_type_size(int SIZE LANGUAGE CXX)\n" + rest + "message(STATUS more)\n",
      Asked::checks);
}

TEST_F(CheckTraps, a_check_that_is_gone_leaves_no_entry) {
  expect_after(std::string(kLibrary), Asked::nothing);
}

TEST_F(CheckTraps, another_question_of_the_same_name_is_asked) {
  expect_after("include(CheckIncludeFileCXX)\ncheck_include_file_cxx(no_such_header HAVE_VECTOR)\n" +
                   std::string(kLibrary),
               Asked::checks);
}

TEST_F(CheckTraps, an_entry_that_the_project_sets_is_the_projects) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  script("set(HAVE_VECTOR \"\" CACHE INTERNAL \"\")\n" + rest);
  expect_after("set(HAVE_VECTOR 1 CACHE INTERNAL \"\")\n" + rest, Asked::nothing);
  script(rest + "set(CMAKE_CXX_FLAGS -DONE CACHE STRING \"\" FORCE)\n");
  expect_after(rest + "set(CMAKE_CXX_FLAGS -DTWO CACHE STRING \"\" FORCE)\n", Asked::nothing);
  script(rest);
  expect_after(rest + "set(CMAKE_AR /usr/bin/ar CACHE FILEPATH \"\" FORCE)\n", Asked::all);
  expect_after(rest + "message(STATUS more)\n", Asked::all);
  write("no.cc", "#error no\n");
  script(rest + "try_compile(HAVE_VECTOR SOURCES ${CMAKE_SOURCE_DIR}/no.cc)\n");
  expect_after(rest + "message(STATUS more)\n", Asked::all);  // what is tried may include any file beside it
}

TEST_F(CheckTraps, headers_of_the_project_are_looked_at_every_time) {
  const std::string include = "include(CheckIncludeFileCXX)\n";
  const std::string what = "check_include_file_cxx(what.h HAVE_VECTOR)\n" + std::string(kLibrary);
  // CMake's trace shows some of them as inputs; else the check is one that is not told again.
  const std::pair<std::string, Asked> ways[] = {
      {"set(CMAKE_REQUIRED_INCLUDES ${CMAKE_SOURCE_DIR}/include)\n" + what, Asked::all},
      {"set(d ${CMAKE_CURRENT_LIST_DIR}/include)\nlist(APPEND CMAKE_REQUIRED_INCLUDES ${d})\n" + what,
       Asked::all},
      {"set(CMAKE_CXX_FLAGS \"-I${CMAKE_SOURCE_DIR}/include\")\n" + what, Asked::checks},
      {"check_include_file_cxx(${CMAKE_SOURCE_DIR}/include/what.h HAVE_VECTOR)\n" + std::string(kLibrary),
       Asked::checks}};
  for (const auto& [before, expected] : ways) {
    write("include/what.h", "");
    script(include + before);
    fs::remove_all(cache());
    ASSERT_GOOD(build());
    write("include/what.h", "#error no\n");
    script(include + before + "message(STATUS more)\n");
    expect_as_from_nothing(expected, before);
  }
  write("include/what.h", "");
  request_.options = {"-DCMAKE_CXX_FLAGS=-I/selfbuild/tree/include"};
  script(include + what);
  fs::remove_all(cache());
  ASSERT_GOOD(build());
  write("include/what.h", "#error no\n");
  script(include + what + "message(STATUS more)\n");
  expect_as_from_nothing(Asked::all, "an option names the stage");
}

TEST_F(CheckTraps, other_inputs_than_scripts_make_all_again) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  write("flags.txt", "");
  script("file(READ flags.txt CMAKE_REQUIRED_FLAGS)\n" + rest);
  ASSERT_GOOD(build());
  write("flags.txt", "-nostdinc++");
  expect_as_from_nothing(Asked::all, "another flags.txt");

  write("made.in", "");
  script("configure_file(made.in ${CMAKE_BINARY_DIR}/made.cmake)\ninclude(${CMAKE_BINARY_DIR}/made.cmake)\n" +
         rest);
  fs::remove_all(cache());
  ASSERT_GOOD(build());
  write("made.in", "set(CMAKE_REQUIRED_FLAGS -nostdinc++)\n");
  expect_as_from_nothing(Asked::all, "another made.cmake");

  script(rest);
  const auto preset = [&](const std::string& flags) {
    write("CMakePresets.json",
          fmt::format(R"({{"version": 3, "configurePresets": [{{"name": "p", "generator": "Ninja",
            "cacheVariables": {{"CMAKE_CXX_FLAGS": "{}"}}}}]}})",
                      flags));
  };
  request_.preset = "p";
  preset("");
  fs::remove_all(cache());
  ASSERT_GOOD(build());
  preset("-nostdinc++");
  expect_as_from_nothing(Asked::all, "another preset");
  script(rest + "message(STATUS more)\n");
  expect_as_from_nothing(Asked::nothing, "the same preset");
}

TEST_F(CheckTraps, compilers_are_looked_for_in_another_state) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  expect_after(rest, Asked::all, "tiny LANGUAGES CXX C");
  expect_after(rest, Asked::all, "tiny VERSION 1.2 LANGUAGES CXX C");
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nset(CMAKE_CXX_FLAGS -funsigned-char)\n"
        "project(tiny LANGUAGES CXX C)\n" +
            rest);
  expect_as_from_nothing(Asked::all, "other flags before project()");
  write("tools.cmake", "set(CMAKE_CXX_FLAGS_INIT -funsigned-char)\n");
  request_.options = {"-DCMAKE_TOOLCHAIN_FILE=tools.cmake"};
  script(rest);
  expect_after(rest + "message(STATUS more)\n", Asked::all);
  tests::write(host() / "tools.cmake", "set(CMAKE_CXX_FLAGS_INIT -funsigned-char)\n");
  request_.options = {"-DCMAKE_TOOLCHAIN_FILE=" + (host() / "tools.cmake").string()};
  script(rest);
  expect_after(rest + "message(STATUS more)\n", Asked::all);
  write("early.cmake", std::string(kCheck));
  request_.options = {"-DCMAKE_PROJECT_INCLUDE=early.cmake"};
  script(rest);
  expect_after(rest + "message(STATUS more)\n", Asked::all);
}

TEST_F(CheckTraps, what_a_cycle_on_trial_found_is_not_told_to_others) {
  request_.cache_owner = 7;
  ASSERT_GOOD(build());
  request_.cache_owner = 0;
  script(std::string(kCheck) + std::string(kLibrary) + "message(STATUS more)\n");
  expect_as_from_nothing(Asked::all, "after a cycle on trial");
}

TEST_F(CheckTraps, a_project_that_moves_cmakes_files_leads_nobody_out) {
  const std::string rest = std::string(kCheck) + std::string(kLibrary);
  const std::string folder = "set(f ${CMAKE_BINARY_DIR}/CMakeFiles/${CMAKE_VERSION})\n";
  fs::create_directories(host());
  for (const std::string& move :
       {folder + fmt::format("file(RENAME ${{f}} ${{f}}-away)\nfile(CREATE_LINK {} ${{f}} SYMBOLIC)\n",
                             host().string()),
        "execute_process(COMMAND sh -c \"rm CMakeFiles/3*/CMakeSystem.cmake; mkfifo "
        "CMakeFiles/3/CMakeSystem.cmake || mkfifo CMakeFiles/${CMAKE_VERSION}/CMakeSystem.cmake\")\n" +
            std::string(),
        fmt::format("execute_process(COMMAND sh -c \"mv CMakeFiles/${{CMAKE_VERSION}} away; ln -s {} "
                    "CMakeFiles/${{CMAKE_VERSION}}\")\n",
                    host().string())}) {
    fs::remove_all(cache());
    script(rest);
    ASSERT_GOOD(build());
    script(rest + move);
    (void)build();
    EXPECT_TRUE(fs::is_empty(host())) << move;
    script(rest + move + "message(STATUS more)\n");
    (void)build();
    EXPECT_TRUE(fs::is_empty(host())) << move;
  }
}

}  // namespace
}  // namespace sb::tests
