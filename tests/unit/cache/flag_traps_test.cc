// Flags that make a compiler or linker read or write more than its command names.
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

class FlagTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    write("main.cc", "int answer();\nint main() { return answer() - 42; }\n");
    write("answer.cc", "int answer() { return 42; }\n");
  }
  void options(const std::string& compile, const std::string& link = "") {
    cmake("add_executable(tiny main.cc answer.cc)\ntarget_compile_options(tiny PRIVATE " + compile +
          ")\ntarget_link_options(tiny PRIVATE " + link + ")\n");
  }
  void expect_right_hits() {
    build_and_compare();
    expect_all_hits();
    build_and_compare();
  }
};

TEST_F(FlagTraps, split_debug_information_comes_with_its_object) {
  options("-g -gsplit-dwarf");
  expect_right_hits();
  ASSERT_OK(const Built again, build());
  EXPECT_NE(again.bytes("CMakeFiles/tiny.dir/main.cc.dwo"), "");
}

TEST_F(FlagTraps, split_debug_information_of_all_commands_comes_with_its_object) {
  request_.options.emplace_back("-DCMAKE_CXX_FLAGS=-g -gsplit-dwarf");
  cmake("add_executable(tiny main.cc answer.cc)\n");
  expect_right_hits();
}

TEST_F(FlagTraps, coverage_notes_come_with_their_object) {
  request_.options.emplace_back("-DCMAKE_CXX_FLAGS=--coverage");
  cmake("add_executable(tiny main.cc answer.cc)\n");
  ASSERT_GOOD(build());
  expect_all_hits();
  ASSERT_OK(const Built again, build());
  EXPECT_NE(again.bytes("CMakeFiles/tiny.dir/main.cc.gcno"), "");
}

TEST_F(FlagTraps, a_profile_that_is_not_named_is_never_believed) {
  write("profiles/note", "");
  options("-O1 -Wno-missing-profile -fprofile-use=${CMAKE_SOURCE_DIR}/profiles");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built folder, build());
  EXPECT_EQ(folder.report.edges_cached, 0);
  options("-O1 -Wno-missing-profile -fprofile-use");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built none, build());
  EXPECT_EQ(none.report.edges_cached, 0);
}

TEST_F(FlagTraps, modules_are_left_to_ninja) {
  options("-std=c++20 -fmodules-ts");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built again, build());
  EXPECT_EQ(again.report.edges_cached, 0);
}

TEST_F(FlagTraps, link_time_optimization_is_cached) {
  options("-O1 -flto", "-flto=1 -O1");
  ASSERT_GOOD(build());
  expect_all_hits();
  write("answer.cc", "int answer() { return 43; }\n");
  ASSERT_OK(const Built changed, build());
  EXPECT_EQ(changed.report.edges_cached, 1);
  EXPECT_EQ(changed.report.edges_run, 2);
}

TEST_F(FlagTraps, a_version_script_is_an_input) {
  cmake(
      "add_library(tiny SHARED answer.cc)\n"
      "target_link_options(tiny PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/exports)\n");
  write("exports", "V1 { global: *; };\n");
  expect_right_hits();
  write("exports", "V2 { global: *; };\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1);
}

TEST_F(FlagTraps, a_linker_script_is_an_input_however_it_is_named) {
  for (const std::string flag : {"-T${CMAKE_SOURCE_DIR}/order.ld", "-Wl,-T,${CMAKE_SOURCE_DIR}/order.ld"}) {
    options("-O0", flag);
    write("order.ld", "SECTIONS { .one : { *(.one) } } INSERT AFTER .data;\n");
    ASSERT_GOOD(build());
    expect_all_hits();
    write("order.ld", "SECTIONS { .two : { *(.one) BYTE(1) } } INSERT AFTER .data;\n");
    EXPECT_EQ(build_and_compare().report.edges_cached, 2) << flag;
  }
}

TEST_F(FlagTraps, a_response_file_that_the_project_wrote_is_left_to_ninja) {
  options("@${CMAKE_SOURCE_DIR}/flags.txt");
  write("flags.txt", "-I/selfbuild/tree/first -I/selfbuild/tree/second\n");
  write("second/value.h", "#define VALUE 1\n");
  write("answer.cc", "#include <value.h>\nint answer() { return VALUE; }\n");
  ASSERT_GOOD(build());
  write("first/value.h", "#define VALUE 2\n");
  build_and_compare();
}

TEST_F(FlagTraps, objects_in_a_response_file_are_inputs) {
  request_.options.emplace_back("-DCMAKE_CXX_USE_RESPONSE_FILE_FOR_OBJECTS=ON");
  request_.options.emplace_back("-DCMAKE_NINJA_FORCE_RESPONSE_FILE=ON");
  cmake("add_executable(tiny main.cc answer.cc)\n");
  expect_right_hits();
  write("answer.cc", "int answer() { return 43; }\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1);
}

TEST_F(FlagTraps, a_thin_archive_is_not_all_of_its_bytes) {
  cmake(
      "set(CMAKE_CXX_ARCHIVE_CREATE \"<CMAKE_AR> qcT <TARGET> <OBJECTS>\")\n"
      "add_library(part STATIC answer.cc)\nadd_executable(tiny main.cc)\ntarget_link_libraries(tiny part)\n");
  ASSERT_GOOD(build());
  write("answer.cc", "int answer() { return 43; }\n");
  build_and_compare();
  write("answer.cc", "int answer() { return 42; }\n");
  build_and_compare();
}

TEST_F(FlagTraps, a_precompiled_header_of_gcc_is_cached) {
  cmake("add_executable(tiny main.cc answer.cc)\ntarget_precompile_headers(tiny PRIVATE all.h)\n");
  write("all.h", "#pragma once\n#include <cstddef>\n#define VALUE 42\n");
  write("answer.cc", "int answer() { return VALUE; }\n");
  ASSERT_GOOD(build());
  expect_all_hits();
  write("all.h", "#pragma once\n#include <cstddef>\n#define VALUE 43\n");
  ASSERT_OK(const Built changed, build());
  EXPECT_EQ(changed.report.edges_cached, 0);
  ASSERT_OK(const Built plain, build_without_cache());
  EXPECT_EQ(changed.bytes("tiny"), plain.bytes("tiny"));
}

TEST_F(FlagTraps, a_precompiled_header_of_clang_is_cached) {
  if (!std::filesystem::exists("/usr/bin/clang++-19")) GTEST_SKIP() << "no clang++-19 here";
  request_.options = {"-DCMAKE_CXX_COMPILER=/usr/bin/clang++-19"};
  cmake("add_executable(tiny main.cc answer.cc)\ntarget_precompile_headers(tiny PRIVATE all.h)\n");
  write("all.h", "#pragma once\n#define VALUE 42\n");
  write("answer.cc", "int answer() { return VALUE; }\n");
  ASSERT_GOOD(build());
  expect_all_hits();
  write("all.h", "#pragma once\n#define VALUE 43\n");
  ASSERT_OK(const Built changed, build());
  EXPECT_EQ(changed.report.edges_cached, 0);
  ASSERT_OK(const Built plain, build_without_cache());
  EXPECT_EQ(changed.bytes("tiny"), plain.bytes("tiny"));
}

TEST_F(FlagTraps, a_precompiled_header_that_tells_the_time_is_always_built) {
  cmake("add_executable(tiny main.cc answer.cc)\ntarget_precompile_headers(tiny PRIVATE all.h)\n");
  write("all.h", "#pragma once\n#define NOW __TIME__\n");
  write("answer.cc", "const char* now = NOW;\nint answer() { return 42; }\n");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built again, build());
  EXPECT_EQ(again.report.edges_cached, 0);
}

TEST_F(FlagTraps, unity_builds_are_cached) {
  request_.options.emplace_back("-DCMAKE_UNITY_BUILD=ON");
  cmake("add_executable(tiny main.cc answer.cc)\n");
  expect_right_hits();
  write("answer.cc", "int answer() { return 43; }\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

TEST_F(FlagTraps, paths_in_outputs_are_the_same_in_every_stage) {
  options("-g");
  write("main.cc", "int answer();\nconst char* file = __FILE__;\nint main() { return answer() - 42; }\n");
  expect_right_hits();
  ASSERT_OK(const Built again, build());
  EXPECT_NE(again.bytes("CMakeFiles/tiny.dir/main.cc.o").find("/selfbuild/tree/main.cc"), std::string::npos);
}

TEST_F(FlagTraps, a_library_that_is_found_by_its_name_is_an_input) {
  cmake("add_executable(tiny main.cc)\ntarget_link_directories(tiny PRIVATE " + (host() / "a").string() +
        " " + (host() / "b").string() + ")\ntarget_link_libraries(tiny PRIVATE -lfound)\n");
  const auto library = [&](const std::string& folder, const std::string& value) {
    tests::write(host() / (value + ".cc"), "int answer() { return " + value + "; }\n");
    tests::write(host() / folder / "x", "");
    const std::string in = (host() / folder).string();
    ASSERT_EQ(std::system(("cd " + in + " && rm -f libfound.a && g++ -c ../" + value +
                           ".cc -o v.o && ar qcD libfound.a v.o && rm v.o")
                              .c_str()),
              0);
  };
  library("b", "1");
  expect_right_hits();
  library("b", "2");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "its bytes changed";
  library("a", "3");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "another one is found first";
}

}  // namespace
}  // namespace sb::tests
