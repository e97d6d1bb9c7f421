// What a text asks of its surroundings, read without running a preprocessor.
#include "cache/contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sb::cache {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Contents, finds_the_macros_that_tell_the_time) {
  for (const char* text :
       {"x = __DATE__;", "__TIME__", "f(__TIMESTAMP__)", "a/__TIME__/b", "\"\" __DATE__ \"\"", "__DA\\\nTE__",
        "R\"x(/*)x\" __TIME__", "u8R\"(//\n/*)\" __TIME__", "'/*' __TIME__", "L'\"' \"/*\" __TIME__",
        "1'0 /**/ __TIME__ '", "// a\n__TIME__", "/*/ */ __TIME__", "\"\\\"/*\" __TIME__",
        "/**/__TIME__/**/"}) {
    EXPECT_TRUE(read_traits(text).tells_time) << text;
  }
}

TEST(Contents, knows_comments_and_longer_names) {
  for (const char* text : {"// __DATE__", "/* __TIME__ */", "// a \\\n __TIME__", "my__DATE__", "__DATE__S",
                           "/*\n__TIME__\n", "x /* \" */ // __TIME__", ""}) {
    EXPECT_FALSE(read_traits(text).tells_time) << text;
  }
}

TEST(Contents, reads_the_names_that_are_asked_for) {
  EXPECT_THAT(
      read_traits("#if __has_include(<a/b.h>) && __has_include( \"c.h\" )\n#if __has_include_next(<d.h>)")
          .asked,
      ElementsAre("a/b.h", "c.h", "d.h"));
  EXPECT_THAT(read_traits("#embed \"x.bin\"\n# embed <y.bin>\n").asked, ElementsAre("x.bin", "y.bin"));
  EXPECT_THAT(read_traits("__has_include(<a.h>) __has_include(<a.h>)").asked, ElementsAre("a.h"));
}

TEST(Contents, knows_a_question_that_is_computed) {
  for (const char* text : {"__has_include(X)", "#define H(x) __has_include(x)", "#define H __has_include\n",
                           "#embed X", "__has_include(<a\n.h>)"})
    EXPECT_TRUE(read_traits(text).asks_computed) << text;
}

TEST(Contents, a_test_for_the_operator_itself_asks_nothing) {
  for (const char* text :
       {"#ifdef __has_include\n", "#if defined(__has_include)\n", "#if defined __has_include\n",
        "#ifndef __has_include\n", "#define __has_include(header) 0\n", "# define __has_include(x)  0\n"}) {
    EXPECT_FALSE(read_traits(text).asks_computed) << text;
    EXPECT_THAT(read_traits(text).asked, IsEmpty());
  }
}

TEST(Contents, knows_files_that_the_assembler_reads) {
  for (const char* text :
       {"asm(\".incbin \\\"x\\\"\");", ".incbin \"x\"", ".include \"x.s\"", "asm(\".incbin \" NAME);"})
    EXPECT_TRUE(read_traits(text).reads_bytes) << text;
  for (const char* text : {"a.include(b)", "options.include = 1;", "x.incbins()"})
    EXPECT_FALSE(read_traits(text).reads_bytes) << text;
}

TEST(Contents, come_back_from_their_text) {
  const Traits traits = read_traits("__TIME__ __has_include(X) __has_include(<a b.h>) .incbin \"x\"");
  const Traits back = traits_from(to_text(traits));
  EXPECT_TRUE(back.tells_time && back.asks_computed && back.reads_bytes);
  EXPECT_EQ(back.asked, traits.asked);
  EXPECT_EQ(to_text(read_traits("int x;")), "");
}

}  // namespace
}  // namespace sb::cache
