// Depfiles, the files of a stage, and the names that CMake's scripts could look for.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/configured_folder.h"
#include "cache/depfile.h"
#include "cache/stage_listing.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> prerequisites(std::string_view text) {
  return parse_depfile(text).value_or(std::vector<std::string>{"corrupt"});
}

TEST(Depfile, lists_prerequisites_once_and_in_order) {
  EXPECT_THAT(prerequisites("a.o: b.cc c.h \\\n  d.h b.cc\n\nc.h:\nd.h:\n"),
              ElementsAre("b.cc", "c.h", "d.h"));
  EXPECT_THAT(prerequisites("a.o b.o: x\nc.o : y"), ElementsAre("x", "y"));
  EXPECT_THAT(prerequisites("a:x.cc\n"), ElementsAre("corrupt")) << "no rule";
  EXPECT_THAT(prerequisites("a.o:\n"), IsEmpty());
  EXPECT_THAT(prerequisites(""), IsEmpty());
}

TEST(Depfile, reads_escapes) {
  EXPECT_THAT(prerequisites("a\\ b.o: c\\ d.h e\\#f $$x c:/y\\\r\n z\\w"),
              ElementsAre("c d.h", "e#f", "$x", "c:/y", "z\\w"));
}

TEST(Depfile, is_corrupt_without_a_target) {
  EXPECT_ERROR(ErrorKind::corrupt, parse_depfile("a b c\n"));
}

class Listing : public testing::Test {
 protected:
  StageListing make() {
    Result<StageListing> listing = StageListing::make(places_);
    EXPECT_TRUE(listing.has_value());
    return listing ? *std::move(listing) : StageListing();
  }
  void file(const std::string& path) { tests::write(folder_.path() / path, ""); }
  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::string tree_ = (folder_.path() / "tree").string();
  Places places_{.source = tree_, .build = (folder_.path() / "build").string(), .view = std::nullopt};
};

TEST_F(Listing, finds_files_by_their_last_name) {
  for (const char* path : {"tree/a/x.h", "tree/b/x.h", "tree/y.h", "build/x.h", "tree/.git/x.h"}) file(path);
  const StageListing listing = make();
  EXPECT_THAT(listing.of_name("x.h"),
              UnorderedElementsAre(tree_ + "/a/x.h", tree_ + "/b/x.h", places_.build + "/x.h"));
  EXPECT_THAT(listing.of_name("z.h"), IsEmpty());
  EXPECT_TRUE(listing.had(tree_ + "/y.h"));
  EXPECT_FALSE(listing.had(tree_ + "/a"));
}

TEST_F(Listing, is_the_same_for_the_same_paths_only) {
  file("tree/a");
  file("tree/b/c");
  const Key before = make().whole();
  EXPECT_EQ(make().whole(), before);
  StageListing more = make();
  more.add(tree_ + "/a");
  EXPECT_EQ(more.whole(), before) << "it is there already";
  more.add(tree_ + "/d");
  EXPECT_NE(more.whole(), before);
}

TEST_F(Listing, knows_links_and_whether_they_may_lead_to_folders) {
  file("tree/real/a");
  const Key none = make().links();
  fs::create_symlink("real/a", tree_ + "/file");
  EXPECT_NE(make().links(), none);
  EXPECT_FALSE(make().links_folders());
  fs::create_symlink("real", tree_ + "/folder");
  EXPECT_TRUE(make().links_folders());
  fs::remove(tree_ + "/folder");
  fs::create_symlink("nothing", tree_ + "/dangling");
  EXPECT_TRUE(make().links_folders());
}

bool changes(const std::string& text, const std::string& path) {
  return names_that_matter({text}, {"other/thing"}) != names_that_matter({text}, {"other/thing", path});
}

TEST(NamesThatMatter, are_words_and_patterns_of_the_texts) {
  EXPECT_TRUE(changes("if(EXISTS etc/extra)", "etc/extra"));
  EXPECT_TRUE(changes("if(EXISTS etc/extra)", "etc/extra/"));
  EXPECT_TRUE(changes("file(GLOB s *.cc)", "src/new.cc"));
  EXPECT_TRUE(changes("file(GLOB s src/part-?.[ch]pp)", "src/part-1.cpp"));
  EXPECT_TRUE(changes("${dir}/lib${name}.txt", "x/libz.txt"));
  EXPECT_TRUE(changes("file(GLOB s *)", "README"));
  EXPECT_TRUE(changes("add_subdirectory(sub)", "sub/"));
  EXPECT_FALSE(changes("file(GLOB s *.cc)", "src/new.h"));
  EXPECT_FALSE(changes("${x}", "README"));
  EXPECT_FALSE(changes("if(EXISTS etc/extra)", "etc/extras"));
}

}  // namespace
}  // namespace sb::cache
