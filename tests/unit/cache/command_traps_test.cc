// Custom commands say little about what they read and write.
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

class CommandTraps : public Workshop {
 protected:
  // out.txt, made by a command with these words.
  void command(const std::string& words, const std::string& more = "") {
    cmake("add_custom_command(OUTPUT out.txt " + words +
          ")\nadd_custom_target(all_of_it ALL DEPENDS out.txt)\n" + more);
  }
  void expect_hits_then_noticed(const std::function<void()>& change) {
    build_and_compare();
    expect_all_hits();
    change();
    build_and_compare();
    expect_all_hits();
  }
  // Nothing of what it runs may come from the cache.
  void expect_never_cached(const std::string& output) {
    ASSERT_GOOD(build());
    ASSERT_OK(const Built again, build());
    EXPECT_EQ(again.report.edges_cached, 0) << output;
    build_and_compare();
  }
};

TEST_F(CommandTraps, an_input_is_an_input) {
  command("COMMAND cp ${CMAKE_SOURCE_DIR}/a.txt out.txt DEPENDS a.txt");
  write("a.txt", "one\n");
  expect_hits_then_noticed([&] { write("a.txt", "two\n"); });
}

TEST_F(CommandTraps, a_depfile_names_inputs) {
  command("COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh ${CMAKE_SOURCE_DIR} DEPENDS gen.sh DEPFILE out.d");
  write("gen.sh", "cat $1/list/a.txt > out.txt\nprintf 'out.txt: %s/list/a.txt\\n' $1 > out.d\n");
  write("list/a.txt", "one\n");
  expect_hits_then_noticed([&] { write("list/a.txt", "two\n"); });
}

TEST_F(CommandTraps, a_file_that_is_written_only_when_it_differs_is_right) {
  cmake(
      "add_custom_command(OUTPUT stamp BYPRODUCTS value.h COMMAND cmake -E copy_if_different "
      "${CMAKE_SOURCE_DIR}/value.in value.h COMMAND cmake -E touch stamp DEPENDS value.in note.txt)\n"
      "add_custom_target(headers DEPENDS stamp)\n"
      "add_library(tiny OBJECT main.cc)\nadd_dependencies(tiny headers)\n"
      "target_include_directories(tiny PRIVATE ${CMAKE_BINARY_DIR})\n");
  write("value.in", "#define VALUE 1\n");
  write("note.txt", "");
  write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
  expect_hits_then_noticed([&] { write("value.in", "#define VALUE 2\n"); });
  expect_hits_then_noticed([&] { write("note.txt", "more"); });
}

TEST_F(CommandTraps, a_generated_header_that_is_only_discovered_is_an_input) {
  cmake(
      "add_custom_command(OUTPUT value.h COMMAND cp ${CMAKE_SOURCE_DIR}/value.in value.h DEPENDS value.in)\n"
      "add_custom_target(headers DEPENDS value.h)\n"
      "add_library(tiny OBJECT main.cc other.cc)\nadd_dependencies(tiny headers)\n"
      "target_include_directories(tiny PRIVATE ${CMAKE_BINARY_DIR})\n");
  write("value.in", "#define VALUE 1\n");
  write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
  write("other.cc", "int other = 1;\n");
  build_and_compare();
  expect_all_hits();
  write("value.in", "#define VALUE 2\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "other.cc does not read it";
}

TEST_F(CommandTraps, all_outputs_of_a_command_come_together) {
  cmake(
      "add_custom_command(OUTPUT a.txt b.txt BYPRODUCTS c.txt COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh)\n"
      "add_custom_target(all_of_it ALL DEPENDS a.txt b.txt)\n");
  write("gen.sh", "echo 1 > a.txt; echo 1 > b.txt; echo 1 > c.txt\n");
  expect_hits_then_noticed([&] { write("gen.sh", "echo 2 > a.txt; echo 2 > b.txt; echo 2 > c.txt\n"); });
}

TEST_F(CommandTraps, a_target_without_a_file_hides_no_input) {
  cmake(
      "add_custom_command(OUTPUT a.txt COMMAND cp ${CMAKE_SOURCE_DIR}/a.in a.txt DEPENDS a.in)\n"
      "add_custom_target(names DEPENDS a.txt)\n"
      "add_custom_command(OUTPUT out.txt COMMAND sh ${CMAKE_SOURCE_DIR}/use.sh DEPENDS names)\n"
      "add_custom_target(all_of_it ALL DEPENDS out.txt)\n");
  write("a.in", "one\n");
  write("use.sh", "cat *.txt > out.tmp; mv out.tmp out.txt\n");
  expect_hits_then_noticed([&] { write("a.in", "two\n"); });
}

TEST_F(CommandTraps, a_script_that_nobody_declares_is_an_input) {
  command("COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh out.txt");
  write("gen.sh", "echo 1 > $1\n");
  expect_hits_then_noticed([&] { write("gen.sh", "echo 2 > $1\n"); });
}

TEST_F(CommandTraps, what_a_script_loads_from_beside_it_is_an_input) {
  command("COMMAND perl ${CMAKE_SOURCE_DIR}/tools/gen.pl out.txt");
  write("tools/gen.pl",
        "use FindBin; use lib $FindBin::Bin; use Part; use Sub::More;\n"
        "open(F, '>', $ARGV[0]); print F Part::v(), Sub::More::v();\n");
  write("tools/Part.pm", "package Part; sub v { 1 } 1;\n");
  write("tools/Sub/More.pm", "package Sub::More; sub v { 1 } 1;\n");
  expect_hits_then_noticed([&] { write("tools/Part.pm", "package Part; sub v { 2 } 1;\n"); });
  expect_hits_then_noticed([&] { write("tools/Sub/More.pm", "package Sub::More; sub v { 2 } 1;\n"); });
}

TEST_F(CommandTraps, a_script_that_is_the_program_loads_its_neighbours) {
  command("COMMAND ${CMAKE_SOURCE_DIR}/tools/gen.sh out.txt");
  write_program("tools/gen.sh", "#!/bin/sh\n. $(dirname $0)/part.sh\necho $V > $1\n");
  write("tools/part.sh", "V=1\n");
  expect_hits_then_noticed([&] { write("tools/part.sh", "V=2\n"); });
}

TEST_F(CommandTraps, a_script_after_a_link_loads_its_neighbours) {
  cmake(
      "add_executable(tiny main.cc)\n"
      "add_custom_command(TARGET tiny POST_BUILD COMMAND sh ${CMAKE_SOURCE_DIR}/tools/sign.sh "
      "$<TARGET_FILE:tiny>)\n");
  write("main.cc", "int main() {}\n");
  write("tools/sign.sh", ". $(dirname $0)/part.sh\necho $V >> $1\n");
  write("tools/part.sh", "V=1\n");
  expect_hits_then_noticed([&] { write("tools/part.sh", "V=2\n"); });
}

TEST_F(CommandTraps, what_the_shell_expands_is_never_believed) {
  command("COMMAND cat ${CMAKE_SOURCE_DIR}/list/*.txt > out.txt");
  write("list/a.txt", "one\n");
  expect_never_cached("a pattern");
  write("list/b.txt", "two\n");
  build_and_compare();
  command("COMMAND echo \"$$(cat ${CMAKE_SOURCE_DIR}/list/a.txt)\" > out.txt");
  expect_never_cached("a command in a command");
}

TEST_F(CommandTraps, all_files_of_a_folder_that_is_named_are_inputs) {
  command("COMMAND tar -cf out.txt --mtime=@0 --sort=name ${CMAKE_SOURCE_DIR}/list");
  write("list/a.txt", "one\n");
  ASSERT_GOOD(build());
  write("list/a.txt", "two\n");
  build_and_compare();
  write("list/deep/b.txt", "three\n");
  build_and_compare();
}

TEST_F(CommandTraps, words_within_words_name_files) {
  command("COMMAND sh -c \"cat /selfbuild/tree/a.txt /selfbuild/tree/b.txt > out.txt\" VERBATIM");
  write("a.txt", "one\n");
  write("b.txt", "one\n");
  ASSERT_GOOD(build());
  write("b.txt", "two\n");
  build_and_compare();
}

TEST_F(CommandTraps, a_program_of_the_project_takes_its_libraries_along) {
  for (const std::string no_shared : {"OFF", "ON"}) {
    cmake("set(CMAKE_LINK_DEPENDS_NO_SHARED " + no_shared +
          ")\nadd_library(part SHARED part.cc)\nadd_executable(gen gen.cc)\ntarget_link_libraries(gen part)\n"
          "add_custom_command(OUTPUT out.txt COMMAND gen > out.txt DEPENDS gen)\n"
          "add_custom_command(OUTPUT two.txt COMMAND sh -c \"./gen > two.txt\" VERBATIM)\n"
          "add_custom_target(all_of_it ALL DEPENDS out.txt)\n"
          "add_custom_target(two ALL DEPENDS two.txt)\nadd_dependencies(two gen)\n");
    write("gen.cc", "#include <cstdio>\nint part();\nint main() { std::printf(\"%d\", part()); }\n");
    write("part.cc", "int part() { return 1; }\n");
    build_and_compare();
    expect_all_hits();
    write("part.cc", "int part() { return 2; }\n");
    build_and_compare();
    expect_all_hits();
  }
}

TEST_F(CommandTraps, a_library_with_versions_comes_with_its_names) {
  cmake(
      "add_library(part SHARED part.cc)\nset_target_properties(part PROPERTIES VERSION 1.2.3 SOVERSION 1)\n"
      "add_executable(tiny main.cc)\ntarget_link_libraries(tiny part)\n");
  write("part.cc", "int part() { return 1; }\n");
  write("main.cc", "int part();\nint main() { return part() - 1; }\n");
  expect_hits_then_noticed([&] { write("part.cc", "int part() { return 2; }\n"); });
}

TEST_F(CommandTraps, a_source_behind_a_symlink_is_an_input) {
  cmake("add_library(tiny OBJECT main.cc)\n");
  link("main.cc", "real/main.cc");
  write("real/main.cc", "int value = 1;\n");
  expect_hits_then_noticed([&] { write("real/main.cc", "int value = 2;\n"); });
}

TEST_F(CommandTraps, files_that_no_command_declares_are_missed_by_nobody) {
  cmake(
      "add_custom_command(OUTPUT stamp COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh COMMAND cmake -E touch stamp)\n"
      "add_custom_target(headers DEPENDS stamp)\n"
      "add_library(tiny OBJECT main.cc)\nadd_dependencies(tiny headers)\n"
      "target_include_directories(tiny PRIVATE ${CMAKE_BINARY_DIR}/made)\n");
  write("gen.sh", "mkdir -p made; echo '#define VALUE 1' > made/value.h\n");
  write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
  ASSERT_GOOD(build());
  build_and_compare();
  write("main.cc", "#include \"value.h\"\nint value = VALUE + 1;\n");
  build_and_compare();
}

TEST_F(CommandTraps, what_changes_an_input_while_it_runs_is_not_kept) {
  cmake(
      "add_custom_command(OUTPUT a.txt COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh)\n"
      "add_custom_command(OUTPUT b.txt COMMAND cp ${CMAKE_SOURCE_DIR}/in.txt b.txt DEPENDS in.txt a.txt)\n"
      "add_custom_target(all_of_it ALL DEPENDS b.txt)\n");
  write(
      "gen.sh",
      "cat /selfbuild/tree/in.txt > a.txt; echo more >> /selfbuild/tree/in.txt; sleep 0.05; echo >> a.txt\n");
  write("in.txt", "one\n");
  ASSERT_GOOD(build());
  build_and_compare();
  write("gen.sh", "cat /selfbuild/tree/in.txt > a.txt\n");
  build_and_compare();
}

TEST_F(CommandTraps, a_program_that_is_stripped_later_is_the_linkers_when_it_comes_again) {
  const std::string base =
      "add_executable(tiny main.cc)\n"
      "add_custom_command(OUTPUT stamp COMMAND ";
  const std::string rest =
      " && cmake -E touch stamp DEPENDS tiny VERBATIM)\nadd_custom_target(x ALL DEPENDS stamp)\n";
  write("main.cc", "int main() {}\n");
  cmake(base + "strip tiny" + rest);
  build_and_compare();
  build_and_compare();
  cmake(base + "true tiny" + rest);
  build_and_compare();
  cmake(base + "strip tiny" + rest);
  build_and_compare();
}

TEST_F(CommandTraps, an_object_that_is_stripped_in_place_damages_no_other_stage) {
  const auto project = [&](const std::string& strip) {
    cmake(
        "add_library(part OBJECT main.cc)\n"
        "add_custom_command(OUTPUT stamp COMMAND " +
        strip +
        " COMMAND cmake -E touch stamp DEPENDS part $<TARGET_OBJECTS:part> USES_TERMINAL)\n"
        "add_custom_target(x ALL DEPENDS stamp)\n");
  };
  write("main.cc", "static int unused() { return 1; }\nint value = unused();\n");
  cmake("add_library(part OBJECT main.cc)\n");
  ASSERT_OK(const Built first, build());
  const std::string object = first.bytes("CMakeFiles/part.dir/main.cc.o");
  project("strip -g -x $<TARGET_OBJECTS:part>");
  ASSERT_GOOD(build());
  EXPECT_TRUE(first.bytes("CMakeFiles/part.dir/main.cc.o") == object) << "the other stage changed";
  cmake("add_library(part OBJECT main.cc)\n");
  ASSERT_OK(const Built again, build());
  EXPECT_TRUE(again.bytes("CMakeFiles/part.dir/main.cc.o") == object);
}

TEST_F(CommandTraps, a_compiler_that_reports_nothing_is_never_believed) {
  command("COMMAND g++ -c ${CMAKE_SOURCE_DIR}/main.cc -o out.txt DEPENDS main.cc");
  write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
  write("value.h", "#define VALUE 1\n");
  ASSERT_GOOD(build());
  write("value.h", "#define VALUE 2\n");
  build_and_compare();
}

TEST_F(CommandTraps, warnings_are_said_again) {
  cmake("add_library(tiny OBJECT main.cc)\ntarget_compile_options(tiny PRIVATE -Wall)\n");
  write("main.cc", "int f() { int unused; return 1; }\n");
  ASSERT_OK(const Built first, build());
  ASSERT_EQ(first.report.warnings.size(), 1U);
  ASSERT_OK(const Built again, build());
  EXPECT_EQ(again.report.edges_cached, 1);
  ASSERT_EQ(again.report.warnings.size(), 1U);
  EXPECT_EQ(again.report.warnings[0].message, first.report.warnings[0].message);
}

TEST_F(CommandTraps, a_build_that_fails_keeps_what_was_good) {
  cmake("add_executable(tiny main.cc answer.cc)\n");
  write("main.cc", "int answer();\nint main() { return answer(); }\n");
  write("answer.cc", "int answer() { return nothing; }\n");
  request_.jobs = 1;
  const Result<Built> failed = build();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().kind, ErrorKind::build_failed);
  const Result<Built> again = build();
  ASSERT_FALSE(again.has_value()) << "a failure comes from no cache";
  write("answer.cc", "int answer() { return 0; }\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "main.cc was compiled before answer.cc failed";
}

}  // namespace
}  // namespace sb::tests
