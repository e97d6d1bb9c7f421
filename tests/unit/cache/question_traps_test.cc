// A source's text may ask for more than the files that it includes: for the time, for what exists, for bytes.
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

class QuestionTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    cmake(
        "add_library(tiny OBJECT main.cc)\n"
        "target_include_directories(tiny PRIVATE first)\n"
        "target_include_directories(tiny SYSTEM PRIVATE " +
        (host() / "a").string() + ")\n");
    write("first/other.h", "");
    tests::write(host() / "a" / "one.h", "");
  }
  void expect_hits(int edges) {
    ASSERT_GOOD(build());
    ASSERT_OK(const Built again, build());
    EXPECT_EQ(again.report.edges_cached, edges);
  }
  void expect_noticed(const std::function<void()>& change) {
    ASSERT_GOOD(build());
    expect_all_hits();
    change();
    EXPECT_EQ(build_and_compare().report.edges_cached, 0);
    expect_all_hits();
  }
};

class TimeTraps : public QuestionTraps, public testing::WithParamInterface<const char*> {};

TEST_P(TimeTraps, what_tells_the_time_is_always_built) {
  write("main.cc", GetParam());
  write("first/when.h", "inline const char* when() { return __DATE__; }\n");
  expect_hits(0);
}
INSTANTIATE_TEST_SUITE_P(
    Macros, TimeTraps,
    testing::Values("const char* t = __DATE__;\n", "const char* t = __TIME__;\n",
                    "const char* t = __TIMESTAMP__;\n", "#include \"when.h\"\nconst char* t = when();\n",
                    "const char* s = R\"(\n/*\n)\"; const char* t = __TIME__;\n",
                    "wchar_t c = L'\"'; const char* s = \"/*\"; const char* t = __TIME__;\n",
                    "const char* t = __TI\\\nME__;\n"));

TEST_F(QuestionTraps, a_time_on_the_command_line_is_always_built) {
  cmake(
      "add_library(tiny OBJECT main.cc)\n"
      "target_compile_definitions(tiny PRIVATE WHEN=__TIME__)\n");
  write("main.cc", "const char* t = WHEN;\n");
  expect_hits(0);
}

TEST_F(QuestionTraps, a_time_in_a_comment_is_none) {
  write("main.cc", "// __DATE__\n/* __TIME__ */ int t = 1;\n");
  expect_hits(1);
}

TEST_F(QuestionTraps, a_header_that_was_asked_for_and_appears_is_noticed) {
  write("main.cc", "#if __has_include(\"later.h\")\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { write("first/later.h", ""); });
  remove("first/later.h");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "as it was at first";
}

TEST_F(QuestionTraps, a_header_that_was_asked_for_and_goes_is_noticed) {
  write("sub/later.h", "");
  write("main.cc", "#if __has_include(\"sub/later.h\")\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { remove("sub/later.h"); });
}

TEST_F(QuestionTraps, a_header_of_the_host_that_was_asked_for_is_noticed) {
  write("main.cc", "#if __has_include(<later.h>)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { tests::write(host() / "a" / "later.h", ""); });
}

TEST_F(QuestionTraps, a_header_that_was_asked_for_by_its_whole_path_is_noticed) {
  const std::string path = (host() / "elsewhere" / "later.h").string();
  write("main.cc", "#if __has_include(\"" + path + "\")\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { tests::write(path, ""); });
}

TEST_F(QuestionTraps, a_header_of_the_host_that_was_asked_for_by_dots_is_noticed) {
  write("main.cc", "#if __has_include(<../later.h>)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { tests::write(host() / "later.h", ""); });
}

TEST_F(QuestionTraps, a_question_that_is_computed_is_noticed) {
  write("main.cc",
        "#define HAS(x) __has_include(x)\n#define NAME \"later.h\"\n"
        "#if HAS(NAME)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { write("first/later.h", ""); });
}

TEST_F(QuestionTraps, a_computed_question_is_not_about_what_cmake_tells_us) {
  write("main.cc",
        "#define NAME \"later.h\"\n#if __has_include(NAME)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  ASSERT_OK(const Built first, build());
  request_.options.emplace_back("-DANOTHER=1");  // CMake runs again
  ASSERT_OK(const Built second, build());
  EXPECT_TRUE(second.report.configured);
  EXPECT_EQ(second.report.edges_run, 0);
  EXPECT_EQ(second.report.edges_cached, first.report.edges_total);
}

TEST_F(QuestionTraps, a_computed_question_for_the_host_is_noticed) {
  write("main.cc",
        "#define NAME <later.h>\n#if __has_include(NAME)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  expect_noticed([&] { tests::write(host() / "a" / "later.h", ""); });
}

TEST_F(QuestionTraps, a_computed_question_for_a_subfolder_of_the_host_is_noticed) {
  write("main.cc",
        "#define NAME <sub/later.h>\n#if __has_include(NAME)\nint v = 2;\n#else\nint v = 1;\n#endif\n");
  tests::write(host() / "a" / "sub" / "x.h", "");
  ASSERT_GOOD(build());
  tests::write(host() / "a" / "sub" / "later.h", "");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

TEST_F(QuestionTraps, a_question_in_a_header_is_noticed) {
  write("first/ask.h", "#if __has_include(\"later.h\")\n#define V 2\n#else\n#define V 1\n#endif\n");
  write("main.cc", "#include \"ask.h\"\nint v = V;\n");
  expect_noticed([&] { write("first/later.h", ""); });
}

TEST_F(QuestionTraps, bytes_that_the_assembler_reads_are_noticed) {
  write("blob.bin", "one");
  write("main.cc",
        "asm(\".globl blob\\nblob: .incbin \\\""
        "/selfbuild/tree/blob.bin\\\"\\n\");\n");
  ASSERT_GOOD(build());
  write("blob.bin", "two");
  build_and_compare();
}

}  // namespace
}  // namespace sb::tests
