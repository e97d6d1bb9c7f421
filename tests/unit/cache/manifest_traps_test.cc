// What CMake does not write into a build.ninja, but others do.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "cache/build_cache.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

class ManifestTraps : public testing::Test {
 protected:
  void file(const std::string& path, const std::string& text) {
    tests::write(tree_ / path, text);
    const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
    fs::last_write_time(tree_ / path, old);
  }
  static std::string output_of(const std::vector<std::string>& argv) {
    std::string command;
    for (const std::string& word : argv) {
      command += "'";
      for (const char c : word) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
      command += "' ";
    }
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string text;
    for (int c = 0; pipe && (c = std::fgetc(pipe.get())) != EOF;) text += static_cast<char>(c);
    return text;
  }
  // One build in an empty folder at the same place; how many edges were hits.
  int build(const std::string& manifest) {
    fs::remove_all(build_);
    tests::write(build_ / "build.ninja", manifest);
    Result<ActionStore> store = ActionStore::open(folder_.path() / "actions.db");
    EXPECT_TRUE(store.has_value());
    if (!store) return -1;
    const artifacts::OutputPool pool(folder_.path() / "pool");
    Result<BuildCache> cache = BuildCache::open(
        *store, pool,
        {.places = {.source = tree_.string(), .build = build_.string(), .view = std::nullopt},
         .memos = folder_.path() / "memos",
         .targets = {},
         .environment = {"PATH=/usr/bin:/bin"},
         .owner = 0,
         .ask = [](const std::vector<std::string>& argv) -> Result<std::string> { return output_of(argv); },
         .now_ms = 1});
    EXPECT_TRUE(cache.has_value()) << (cache ? "" : format_error(cache.error()));
    if (!cache) return -1;
    const Result<Taken> taken = cache->take();
    EXPECT_TRUE(taken.has_value());
    EXPECT_EQ(
        std::system(
            ("cd " + build_.string() + " && PATH=/usr/bin:/bin ninja >ninja.out 2>&1; rm ninja.out").c_str()),
        0);
    EXPECT_TRUE(cache->keep({}).has_value());
    verdicts_ = cache->verdicts();
    return taken ? taken->hits : -1;
  }
  std::string made(const std::string& output) { return tests::read(build_ / output); }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  fs::path tree_ = folder_.path() / "tree";
  fs::path build_ = folder_.path() / "build";
  std::vector<EdgeVerdict> verdicts_;
};

TEST_F(ManifestTraps, what_a_dyndep_file_tells_is_left_to_ninja) {
  file("in", "one\n");
  file("dd", "ninja_dyndep_version = 1\nbuild out: dyndep | ../tree/in\n");
  const std::string manifest =
      "rule copy\n  command = cp ../tree/in $out\n  dyndep = ../tree/dd\nbuild out: copy || ../tree/dd\n";
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(build(manifest), 0);
  file("in", "two\n");
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(made("out"), "two\n");
}

TEST_F(ManifestTraps, names_for_several_files_hide_none) {
  file("a", "one\n");
  file("b", "two\n");
  const std::string manifest =
      "rule join\n  command = sh ../tree/join.sh > $out\nbuild names: phony ../tree/a more\n"
      "build more: phony ../tree/b\nbuild out: join | names\n";
  file("join.sh", "cat ../tree/a ../tree/b\n");
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(build(manifest), 1);
  file("b", "three\n");
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(made("out"), "one\nthree\n");
}

TEST_F(ManifestTraps, what_waits_for_a_missing_file_runs_in_every_build) {
  file("a", "one\n");
  const std::string manifest =
      "rule copy\n  command = cp ../tree/a $out\nbuild always: phony\nbuild out: copy ../tree/a | always\n";
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(build(manifest), 0);
  ASSERT_EQ(verdicts_.size(), 1U);
  EXPECT_EQ(verdicts_[0].verdict, Verdict::refused);
}

TEST_F(ManifestTraps, an_output_that_is_not_made_is_not_kept) {
  file("a", "one\n");
  const std::string manifest = "rule copy\n  command = cp ../tree/a out\nbuild out other: copy ../tree/a\n";
  EXPECT_EQ(build(manifest), 0);
  EXPECT_EQ(build(manifest), 0);
}

TEST_F(ManifestTraps, another_command_for_the_same_files_is_another_action) {
  file("a", "one\n");
  EXPECT_EQ(build("rule r\n  command = cp $in $out\nbuild out: r ../tree/a\n"), 0);
  EXPECT_EQ(build("rule r\n  command = cp $in $out\nbuild out: r ../tree/a\n"), 1);
  EXPECT_EQ(build("rule r\n  command = rev $in > $out\nbuild out: r ../tree/a\n"), 0);
  EXPECT_EQ(made("out"), "eno\n");
}

}  // namespace
}  // namespace sb::cache
