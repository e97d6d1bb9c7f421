// What CMake found when it configured may not be what it would find now.
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

class ConfigureTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    write("main.cc", "#ifndef VALUE\n#define VALUE 0\n#endif\nint value = VALUE;\n");
  }
  void expect_noticed(const std::function<void()>& change) {
    build_and_compare();
    expect_all_hits();
    change();
    EXPECT_TRUE(build_and_compare().report.configured);
    expect_all_hits();
  }
};

TEST_F(ConfigureTraps, a_template_is_an_input) {
  cmake(
      "set(V 5)\nconfigure_file(value.h.in value.h)\nadd_library(tiny OBJECT use.cc)\n"
      "target_include_directories(tiny PRIVATE ${CMAKE_BINARY_DIR})\n");
  write("use.cc", "#include \"value.h\"\nint value = VALUE;\n");
  write("value.h.in", "#define VALUE @V@\n");
  expect_noticed([&] { write("value.h.in", "#define VALUE (@V@ + 1)\n"); });
}

TEST_F(ConfigureTraps, generator_expressions_are_evaluated_again) {
  cmake(
      "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE "
      "$<$<CONFIG:Debug>:VALUE=3>)\n");
  build_and_compare();
  request_.options.emplace_back("-DCMAKE_BUILD_TYPE=Debug");
  build_and_compare();
  expect_all_hits();
}

TEST_F(ConfigureTraps, globs_see_added_and_removed_files) {
  for (const std::string glob :
       {"GLOB s *.cc", "GLOB s CONFIGURE_DEPENDS *.cc", "GLOB_RECURSE s [a-z]*.c*"}) {
    cmake("file(" + glob + ")\nadd_library(tiny OBJECT ${s})\n");
    expect_noticed([&] { write("more.cc", "int more = 1;\n"); });
    remove("more.cc");
    EXPECT_FALSE(build_and_compare().report.configured) << "as it was at first";
  }
}

TEST_F(ConfigureTraps, files_that_cmake_looks_for_are_noticed) {
  for (const std::string look :
       {"if(EXISTS ${CMAKE_SOURCE_DIR}/etc/extra)\nset(V 1)\nendif()\n",
        "set(n extra)\nif(EXISTS ${CMAKE_SOURCE_DIR}/etc/${n})\nset(V 1)\nendif()\n",
        "set(a ex)\nset(b tra)\nif(EXISTS ${CMAKE_SOURCE_DIR}/etc/${a}${b})\nset(V 1)\nendif()\n",
        "find_file(F extra PATHS ${CMAKE_SOURCE_DIR}/etc NO_DEFAULT_PATH)\nif(F)\nset(V 1)\nendif()\n"}) {
    cmake("set(V 0)\n" + look +
          "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE VALUE=${V})\n");
    expect_noticed([&] { write("etc/extra", ""); });
    remove("etc/extra");
    EXPECT_FALSE(build_and_compare().report.configured) << "as it was at first";
  }
}

TEST_F(ConfigureTraps, files_that_cmake_reads_are_noticed) {
  for (const std::string read :
       {"file(READ version.txt V)\n",
        "set(a ${CMAKE_SOURCE_DIR}/ver)\nset(b sion.txt)\nfile(READ ${a}${b} V)\n",
        "execute_process(COMMAND cat version.txt WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE V)\n",
        "cmake_language(CALL File STRINGS version.txt V)\n", "include(read.cmake)\nread_it(V)\n",
        "file(COPY ${CMAKE_SOURCE_DIR}/data DESTINATION .)\nfile(READ "
        "${CMAKE_BINARY_DIR}/data/deep/version.txt V)\n",
        "file(STRINGS ${CMAKE_SOURCE_DIR}/version.txt V)\n",
        "execute_process(COMMAND cat ${CMAKE_SOURCE_DIR}/version.txt OUTPUT_VARIABLE V)\n",
        "set(n version)\nfile(READ ${n}.txt V)\n"}) {
    write("version.txt", "1");
    write("data/deep/version.txt", "1");
    write("read.cmake",
          "function(read_it v)\nfile(READ ${CMAKE_SOURCE_DIR}/version.txt x)\nset(${v} ${x} "
          "PARENT_SCOPE)\nendfunction()\n");
    cmake(read + "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE VALUE=${V})\n");
    expect_noticed([&] {
      write("version.txt", "2");
      write("data/deep/version.txt", "2");
    });
  }
}

TEST_F(ConfigureTraps, sources_that_cmake_reads_are_noticed) {
  write("version.h", "1");
  cmake(
      "file(READ version.h V)\nadd_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE "
      "VALUE=${V})\n");
  expect_noticed([&] { write("version.h", "2"); });
  write("check.cc", "int main() { return 0; }\n");
  cmake(
      "try_compile(V ${CMAKE_BINARY_DIR}/try ${CMAKE_SOURCE_DIR}/check.cc)\nif(V)\nset(n 1)\nelse()\nset(n "
      "0)\nendif()\n"
      "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE VALUE=${n})\n");
  ASSERT_GOOD(build());
  write("check.cc", "int main() { return nothing; }\n");
  ASSERT_OK(const Built cached, build());
  ASSERT_OK(const Built plain, build_without_cache());
  EXPECT_TRUE(cached.bytes("CMakeFiles/tiny.dir/main.cc.o") == plain.bytes("CMakeFiles/tiny.dir/main.cc.o"));
}

TEST_F(ConfigureTraps, changed_sources_alone_configure_nothing) {
  write("version.txt", "1");
  write("list.txt", "1");
  cmake(
      "set(n version.txt)\nfile(READ ${n} V)\nadd_library(tiny OBJECT main.cc)\n"
      "add_custom_command(OUTPUT list COMMAND cp ${CMAKE_SOURCE_DIR}/list.txt list DEPENDS list.txt)\n"
      "add_custom_target(lists ALL DEPENDS list)\n"
      "execute_process(COMMAND ${CMAKE_CXX_COMPILER} -dumpversion OUTPUT_VARIABLE W)\n"
      "execute_process(COMMAND git describe WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE X "
      "ERROR_QUIET)\n");
  ASSERT_GOOD(build());
  write("main.cc", "int value = 7;\n");
  write("list.txt", "2");
  write("README", "new");
  EXPECT_FALSE(build_and_compare().report.configured);
}

TEST_F(ConfigureTraps, a_program_that_knows_the_source_may_read_all_of_it) {
  write("sum.sh", "cat ${0%/*}/*.in\n");
  write("a.in", "1");
  write("main.cc", "int value = VALUE;\n");
  cmake(
      "execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/sum.sh OUTPUT_VARIABLE V)\n"
      "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE VALUE=${V})\n");
  expect_noticed([&] { write("a.in", "2"); });
  expect_noticed([&] { write("b.in", "3"); });
}

TEST_F(ConfigureTraps, what_a_tried_program_includes_is_noticed) {
  write("checks/check.cc", "#include \"how.h\"\n#include \"what.h\"\nint main() { return HOW; }\n");
  write("checks/how.h", "#define HOW 0\n");
  write("include/what.h", "");
  cmake(
      "try_compile(V ${CMAKE_BINARY_DIR}/try ${CMAKE_SOURCE_DIR}/checks/check.cc CMAKE_FLAGS "
      "-DINCLUDE_DIRECTORIES=${CMAKE_SOURCE_DIR}/include)\nif(V)\nset(n 1)\nelse()\nset(n 0)\nendif()\n"
      "add_library(tiny OBJECT main.cc)\ntarget_compile_definitions(tiny PRIVATE VALUE=${n})\n");
  expect_noticed([&] { write("checks/how.h", "#define HOW nothing\n"); });
  write("checks/how.h", "#define HOW 0\n");
  expect_noticed([&] { write("include/what.h", "#error no\n"); });
}

TEST_F(ConfigureTraps, names_that_cmakes_own_modules_look_for_are_noticed) {
  cmake("include(CTest)\nadd_library(tiny OBJECT main.cc)\n");
  ASSERT_GOOD(build());
  write("CTestConfig.cmake", "set(CTEST_PROJECT_NAME other)\n");
  EXPECT_TRUE(build_and_compare().report.configured);
}

TEST_F(ConfigureTraps, a_configured_time_is_always_new) {
  cmake(
      "string(TIMESTAMP now)\nfile(WRITE ${CMAKE_BINARY_DIR}/now.txt ${now})\nadd_library(tiny OBJECT "
      "main.cc)\n");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built again, build());
  EXPECT_TRUE(again.report.configured);
  cmake("execute_process(COMMAND date OUTPUT_VARIABLE now)\nadd_library(tiny OBJECT main.cc)\n");
  ASSERT_GOOD(build());
  ASSERT_OK(const Built dated, build());
  EXPECT_TRUE(dated.report.configured);
}

TEST_F(ConfigureTraps, a_source_from_the_future_builds) {
  cmake("add_library(tiny OBJECT main.cc)\n");
  ASSERT_GOOD(build());
  source_time_ns_ = (std::int64_t{::time(nullptr)} + 3600) * 1'000'000'000;
  const Result<Built> later = build();
  ASSERT_TRUE(later.has_value()) << format_error(later.error());
  write("main.cc", "int value = 9;\n");
  ASSERT_OK(const Built changed, build());
  source_time_ns_ = os::kSourceTimeNs;
  ASSERT_OK(const Built plain, build_without_cache());
  EXPECT_TRUE(changed.bytes("CMakeFiles/tiny.dir/main.cc.o") == plain.bytes("CMakeFiles/tiny.dir/main.cc.o"));
}

TEST_F(ConfigureTraps, the_callers_environment_does_not_leak_in) {
  cmake("add_library(tiny OBJECT main.cc)\n");
  write("main.cc", "#if __has_include(<leak.h>)\nint leak = 1;\n#endif\nint value = 1;\n");
  build_and_compare();
  tests::write(host() / "leak.h", "");
  ::setenv("CPATH", host().c_str(), 1);
  ::setenv("SOURCE_DATE_EPOCH", "1", 1);
  ::setenv("CXXFLAGS", "-DVALUE=8", 1);
  expect_all_hits();
  build_and_compare();
  for (const char* name : {"CPATH", "SOURCE_DATE_EPOCH", "CXXFLAGS"}) ::unsetenv(name);
}

}  // namespace
}  // namespace sb::tests
