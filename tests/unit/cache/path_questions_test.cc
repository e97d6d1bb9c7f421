// Which sources could use their own path unseen.
#include "cache/path_questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sb::cache {
namespace {

// In two pieces: this file is a source of builds that are judged.
const std::string kFile =
    "__FILE"
    "__";

PathQuestions with_header(const std::string& text, const std::string& name = "/usr/include/x.h") {
  PathQuestions questions;
  EXPECT_TRUE(questions.add_host(name, text));
  questions.close();
  return questions;
}

TEST(PathQuestions, are_asked_by_the_words_themselves) {
  const PathQuestions questions = with_header("");
  EXPECT_FALSE(questions.asks("int main() { return 0; }  // __LINE__ __func__ __FILE_NAME__"));
  for (const std::string& word : {kFile,
                                  std::string("__BASE_FILE"
                                              "__"),
                                  std::string("__builtin_FI"
                                              "LE"),
                                  std::string("__PRETTY_FUNCTION"
                                              "__"),
                                  std::string("std::source_"
                                              "location")})
    EXPECT_TRUE(questions.asks("f(" + word + ");")) << word;
  EXPECT_TRUE(questions.asks("__FI\\\nLE" + std::string("__")));
  EXPECT_TRUE(questions.asks("%:define X"));
}

TEST(PathQuestions, are_asked_by_macros_of_the_host_that_say_them) {
  const std::string header =
      "#define HERE hash(" + kFile + ")\n# define LOG(x) \\\n  log(x, HERE)\n#define QUIET(x) x\n";
  const PathQuestions questions = with_header(header);
  EXPECT_TRUE(questions.asks("HERE"));
  EXPECT_TRUE(questions.asks("LOG(1)"));
  EXPECT_FALSE(questions.asks("QUIET(1) LOGS HERE_"));
}

TEST(PathQuestions, are_asked_by_macros_with_a_comment_in_them) {
  EXPECT_TRUE(with_header("#define HERE /* two\nlines */ " + kFile + "\n").asks("HERE"));
  EXPECT_TRUE(with_header("#define GLOB \"/*\"\n#define HERE " + kFile + "\n// */\n").asks("HERE"));
}

TEST(PathQuestions, are_asked_by_names_that_are_pasted) {
  const PathQuestions questions = with_header("#define LOG_INFO " + kFile +
                                              "\n#define LOG(x) LOG_##x\n#define CAT(a, b) a##b\n"
                                              "#define CALL(a, b) CAT(a, b)\n#define LONG(c) c ## L\n");
  EXPECT_TRUE(questions.asks("LOG(INFO)"));
  EXPECT_TRUE(questions.asks("CALL(LOG_, INFO)"));
  EXPECT_TRUE(questions.asks("#define MY(x) LOG_ ## x\n"));
  EXPECT_FALSE(questions.asks("LOG_ INFO"));
  EXPECT_FALSE(questions.asks("CALL(other, name)"));
  EXPECT_FALSE(questions.asks("LONG(1)"));
}

TEST(PathQuestions, are_not_asked_by_the_assert_of_the_c_library) {
  const std::string text =
      "#define assert(x) ((x) ? 0 : fail(#x, " + kFile + "))\n#define check(x) assert(x)\n";
  const PathQuestions library = with_header(text, "/usr/include/assert.h");
  EXPECT_FALSE(library.asks("assert(x); check(y);"));
  EXPECT_TRUE(with_header(text, "/opt/assert.hpp").asks("assert(x);"));
  EXPECT_TRUE(with_header(text, "/opt/assert.hpp").asks("check(x);"));
}

TEST(PathQuestions, cannot_be_followed_into_functions_that_ask_for_their_caller) {
  PathQuestions questions;
  EXPECT_TRUE(questions.add_host("/a.h", "void f(const char* file = " + kFile + ");\n"));
  EXPECT_FALSE(questions.add_host("/b.h",
                                  "void f(const char* file = __builtin_FI"
                                  "LE());\n"));
  EXPECT_FALSE(questions.add_host("/c.h",
                                  "template <class T> auto name() { return __PRETTY_FUNCTION"
                                  "__; }\n"));
  EXPECT_TRUE(questions.add_host("/e.h",
                                 "/* __PRETTY_FUNCTION"
                                 "__ is there */\n"));
  EXPECT_TRUE(questions.add_host("/d.h",
                                 "#define NAME __PRETTY_FUNCTION"
                                 "__\n"));
}

TEST(ClimbingNames, are_those_of_directives_with_dots) {
  EXPECT_THAT(climbing_names(
                  "#include \"../a.h\"\n#include <b.h>\n # if __has_include(<../c.h>)\nchar x[] = \"../d\";\n"
                  "#include \"e/../f.h\"\n#include \"../a.h\"\n"),
              testing::ElementsAre("../a.h", "../c.h", "e/../f.h"));
  EXPECT_THAT(climbing_names("int x; // ...\n#define F(x, ...) x\n"), testing::IsEmpty());
  EXPECT_THAT(climbing_names("#include TEXT(../x.h)\n"),
              testing::ElementsAre(testing::StartsWith("../../../../../")));
}

}  // namespace
}  // namespace sb::cache
