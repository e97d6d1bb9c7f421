// Names that do not depend on where a stage lies.
#include "cache/normal_form.h"

#include <gtest/gtest.h>

namespace sb::cache {
namespace {

Places places(const std::string& source, const std::string& build) {
  return {.source = source, .build = build, .view = std::nullopt};
}

TEST(NormalForm, names_what_lies_in_the_stage_as_a_view_would) {
  const NormalForm normal(places("/s/1/tree", "/s/1/build"));
  EXPECT_EQ(normal.of("/s/1/tree/a.h"), "/selfbuild/tree/a.h");
  EXPECT_EQ(normal.of("/s/1/build"), "/selfbuild/build");
  EXPECT_EQ(normal.here("/selfbuild/tree/a.h"), "/s/1/tree/a.h");
  EXPECT_EQ(normal.here("/selfbuild/build"), "/s/1/build");
  for (const char* path :
       {"/usr/include/a.h", "/s/1/tree2/a.h", "/s/1", "/x/s/1/tree/a.h", "a.h", "../tree/a.h", ""}) {
    EXPECT_EQ(normal.of(path), path);
    EXPECT_EQ(normal.here(path), path);
  }
}

TEST(NormalForm, knows_a_build_folder_in_the_source_and_a_source_in_the_build_folder) {
  const NormalForm inside(places("/s", "/s/out"));
  EXPECT_EQ(inside.of("/s/out/x"), "/selfbuild/build/x");
  EXPECT_EQ(inside.of("/s/x"), "/selfbuild/tree/x");
  EXPECT_EQ(inside.here("/selfbuild/build/x"), "/s/out/x");
  const NormalForm around(places("/b/src", "/b"));
  EXPECT_EQ(around.of("/b/src/x"), "/selfbuild/tree/x");
  EXPECT_EQ(around.of("/b/x"), "/selfbuild/build/x");
}

TEST(NormalForm, replaces_every_place_in_a_text_at_the_ends_of_names_only) {
  const NormalForm normal(places("/s/tree", "/s/build"));
  EXPECT_EQ(normal.of_text("c++ -I/s/tree -I/s/tree/inc -I/s/tree2 -L'/s/build' -o x /s/tree.cc"),
            "c++ -I/selfbuild/tree -I/selfbuild/tree/inc -I/s/tree2 -L'/selfbuild/build' -o x /s/tree.cc");
}

TEST(NormalForm, tells_a_file_of_the_host_that_has_such_a_name_already) {
  const NormalForm normal(places("/s/tree", "/s/build"));
  EXPECT_TRUE(normal.is_ambiguous("/selfbuild/tree/a.h"));
  EXPECT_FALSE(normal.is_ambiguous("/selfbuilds/a.h"));
  EXPECT_FALSE(normal.is_ambiguous("/s/tree/a.h"));
  EXPECT_FALSE(NormalForm(places("/selfbuild/tree", "/selfbuild/build")).is_ambiguous("/selfbuild/tree/a.h"));
}

TEST(NormalForm, changes_nothing_with_a_view) {
  const Places seen{.source = "/selfbuild/tree",
                    .build = "/selfbuild/build",
                    .view = sandbox::View{.folder = "/s/1", .at = "/selfbuild"}};
  const NormalForm normal(seen);
  EXPECT_FALSE(normal.is_needed());
  EXPECT_EQ(normal.of("/s/1/tree/a.h"), "/s/1/tree/a.h");
  EXPECT_EQ(normal.here("/selfbuild/tree/a.h"), "/selfbuild/tree/a.h");
  EXPECT_FALSE(normal.is_ambiguous("/selfbuild/x"));
}

TEST(NormalForm, tells_stages_apart_in_which_the_build_folder_lies_elsewhere) {
  const auto relation = [](const char* source, const char* build) {
    return NormalForm(places(source, build)).relation();
  };
  EXPECT_EQ(relation("/s/1/tree", "/s/1/build"), relation("/long/er/tree", "/long/er/build"));
  EXPECT_NE(relation("/s/1/tree", "/s/1/build"), relation("/s/1/tree", "/s/1/tree/build"));
  EXPECT_NE(relation("/s/1/tree", "/s/1/build"), relation("/s/1/tree", "/s/build"));
}

}  // namespace
}  // namespace sb::cache
