// What is found in the output of compilers, linkers, CMake and Ninja.
#include "build/diagnostics.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sb::build {
namespace {

DiagnosticReader read(std::string_view output) {
  DiagnosticReader reader("/src");
  for (const std::string_view line : split_lines(output)) reader.line(line);
  reader.finish();
  return reader;
}

TEST(Diagnostics, reads_gcc_and_clang) {
  const auto reader = read(
      "FAILED: CMakeFiles/a.dir/a.cc.o \n"
      "/usr/bin/c++ -o a.o -c /src/lib/a.cc\n"
      "/src/lib/a.cc: In function ‘int f()’:\n"
      "/src/lib/a.cc:3:5: error: ‘x’ was not declared in this scope\n"
      "    3 |     x = 1;\n"
      "/src/lib/a.cc:9:1: warning: no return statement [-Wreturn-type]\n"
      "/usr/include/b.h:12: error: no column here\n"
      "/src/c.cc:1:10: fatal error: 'd.h' file not found\n");
  ASSERT_EQ(reader.errors().size(), 3U);
  EXPECT_EQ(to_string(reader.errors()[0]), "lib/a.cc:3:5: error: ‘x’ was not declared in this scope");
  EXPECT_EQ(to_string(reader.errors()[1]), "/usr/include/b.h:12: error: no column here");
  EXPECT_EQ(reader.errors()[2].severity, "fatal error");
  ASSERT_EQ(reader.warnings().size(), 1U);
  EXPECT_EQ(reader.warnings()[0].line, 9);
  EXPECT_EQ(reader.summary(), "3 errors in 3 files");
}

TEST(Diagnostics, counts_a_repeated_message_once) {
  const auto reader = read("/src/a.h:1:1: error: bad\n/src/a.h:1:1: error: bad\n");
  EXPECT_EQ(reader.summary(), "1 error in 1 file");
}

TEST(Diagnostics, reads_linkers) {
  const auto reader = read(
      "/usr/bin/ld: a.o: in function `main':\n"
      "a.cc:(.text+0x9): undefined reference to `f()'\n"
      "/usr/bin/ld: /src/b.cc:7: undefined reference to `g()'\n"
      "/usr/bin/ld: cannot find -lnowhere: No such file or directory\n"
      "ld.lld: error: undefined symbol: h()\n"
      "/usr/bin/ld: warning: creating DT_TEXTREL\n"
      "collect2: error: ld returned 1 exit status\n");
  ASSERT_EQ(reader.errors().size(), 4U);
  EXPECT_EQ(to_string(reader.errors()[0]), "a.cc: error: undefined reference to `f()'");
  EXPECT_EQ(to_string(reader.errors()[1]), "b.cc:7: error: undefined reference to `g()'");
  EXPECT_EQ(to_string(reader.errors()[2]), "error: cannot find -lnowhere: No such file or directory");
  EXPECT_EQ(to_string(reader.errors()[3]), "error: undefined symbol: h()");
}

TEST(Diagnostics, reads_cmake_messages_of_several_lines) {
  const auto reader = read(
      "CMake Error at CMakeLists.txt:4 (find_package):\n"
      "  By not providing \"FindX.cmake\" in CMAKE_MODULE_PATH\n"
      "\n"
      "  Add the installation prefix.\n"
      "\n"
      "CMake Warning (dev) at cmake/y.cmake:2 (message):\n"
      "  old\n"
      "-- Configuring incomplete, errors occurred!\n"
      "CMake Error: The source directory \"/x\" does not exist.\n");
  ASSERT_EQ(reader.errors().size(), 2U);
  EXPECT_EQ(to_string(reader.errors()[0]),
            "CMakeLists.txt:4: error: By not providing \"FindX.cmake\" in CMAKE_MODULE_PATH Add the "
            "installation prefix.");
  EXPECT_EQ(to_string(reader.errors()[1]), "error: The source directory \"/x\" does not exist.");
  ASSERT_EQ(reader.warnings().size(), 1U);
  EXPECT_EQ(to_string(reader.warnings()[0]), "cmake/y.cmake:2: warning: old");
}

TEST(Diagnostics, says_what_failed_when_a_command_printed_nothing) {
  const auto reader = read("FAILED: generated.h \n/bin/false\nninja: build stopped: subcommand failed.\n");
  EXPECT_EQ(reader.summary(), "1 target failed");
  EXPECT_EQ(reader.excerpt(10), "failed: generated.h");
}

TEST(Diagnostics, takes_the_words_of_ninja) {
  EXPECT_EQ(read("ninja: error: unknown target 'helo', did you mean 'hello'?\n").summary(),
            "unknown target 'helo', did you mean 'hello'?");
}

TEST(Diagnostics, keeps_the_first_ten_in_the_excerpt) {
  std::string output;
  for (int i = 1; i <= 25; ++i) output += "/src/a.cc:" + std::to_string(i) + ":1: error: bad\n";
  const auto reader = read(output);
  EXPECT_EQ(reader.summary(), "25 errors in 1 file");
  EXPECT_EQ(split_lines(reader.excerpt(10)).size(), 11U);
  EXPECT_TRUE(reader.excerpt(10).ends_with("… and 15 more")) << reader.excerpt(10);
}

TEST(Diagnostics, survives_hostile_output) {
  std::string output = "/src/a.cc:99999999999999999999:1: error: \x1b[2J\x07gone\n";
  output += std::string(2'000'000, ':') + "\n";
  for (int i = 0; i < 5000; ++i) output += "/src/a.cc:" + std::to_string(i) + ":1: error: flood\n";
  const auto reader = read(output);
  EXPECT_EQ(to_string(reader.errors()[0]), "a.cc:1: error: [2Jgone");
  EXPECT_EQ(reader.errors().size(), DiagnosticReader::kMostKept);
  EXPECT_EQ(reader.summary(), "5001 errors in 1 file");
}

TEST(Diagnostics, names_the_limit_before_its_consequences) {
  const auto reader =
      read("c++: fatal error: Killed signal terminated program cc1plus\n/src/a.cc:1:1: error: bad\n");
  sandbox::Report report;
  report.exit_code = 1;
  report.limit = sandbox::LimitHit::wall;
  const Error error = build_error(reader, "build", report, "/log");
  EXPECT_EQ(error.kind, ErrorKind::build_failed);
  EXPECT_EQ(error.what, "build failed: over its wall time");
  EXPECT_EQ(error.next, "less /log");
}

}  // namespace
}  // namespace sb::build
