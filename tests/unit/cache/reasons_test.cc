// Why an edge would run: the reason names the input that is another one than in the last run.
#include <fmt/format.h>

#include "build/cached_build.h"
#include "cache/action_store.h"
#include "cache/upkeep.h"
#include "sqlite/database.h"
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

constexpr std::string_view kObject = "CMakeFiles/tiny.dir/main.cc.o";
constexpr std::string_view kSeenObject = "/selfbuild/build/CMakeFiles/tiny.dir/main.cc.o";
constexpr std::int64_t kDayMs = 86'400'000;

class Reasons : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    cmake("add_library(tiny OBJECT main.cc)\ntarget_include_directories(tiny PRIVATE first second)\n");
    write("first/other.h", "");
    write("second/value.h", "#define VALUE 1\n");
    write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
  }

  // Of the project as it is now; "hit" when there is no reason to run it.
  std::string why(std::string_view output = kObject) {
    const std::filesystem::path stage = lay_out();
    build::BuildRequest request = request_;
    request.source = stage / "tree";
    request.build = stage / "build";
    request.log = folder() / "log";
    request.view = build::stage_view(stage);
    request.cache = cache();
    const auto verdicts = build::explain_edges(request, {});
    if (!verdicts) return format_error(verdicts.error());
    for (const cache::EdgeVerdict& edge : *verdicts) {
      if (edge.output == output) return edge.verdict == cache::Verdict::hit ? "hit" : edge.why;
    }
    return "no such edge";
  }
  [[nodiscard]] Result<cache::ActionStore> store() const {
    return cache::ActionStore::open(cache() / "actions.db");
  }
  [[nodiscard]] bool knows_a_run() const {
    Result<cache::ActionStore> opened = store();
    const auto run = opened ? opened->last_run_that_made(std::string(kSeenObject)) : fail(opened.error());
    EXPECT_TRUE(run.has_value());
    return run && run->has_value();
  }
};

TEST_F(Reasons, name_the_file_whose_contents_changed) {
  EXPECT_EQ(why(), "the cache knows no run that made it");
  ASSERT_GOOD(build());
  EXPECT_EQ(why(), "hit");
  write("second/value.h", "#define VALUE 2\n");
  EXPECT_EQ(why(), "second/value.h has other contents than in the last run");
  write("main.cc", "#include \"value.h\"\nint value = 2 * VALUE;\n");
  EXPECT_EQ(why(), "main.cc and second/value.h have other contents than in the last run");
}

TEST_F(Reasons, name_three_files_and_count_the_others) {
  std::string includes;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    write(fmt::format("second/{}.h", name), "");
    includes += fmt::format("#include \"{}.h\"\n", name);
  }
  write("main.cc", includes);
  ASSERT_GOOD(build());
  for (const char* name : {"a", "b", "c", "d", "e"}) write(fmt::format("second/{}.h", name), "// changed\n");
  EXPECT_EQ(why(), "second/a.h, second/b.h, second/c.h and 2 more have other contents than in the last run");
}

TEST_F(Reasons, compare_with_the_last_run_not_with_an_earlier_one) {
  ASSERT_GOOD(build());
  write("second/value.h", "#define VALUE 2\n");
  ASSERT_GOOD(build());
  write("main.cc", "#include \"value.h\"\nint value = 3 * VALUE;\n");
  EXPECT_EQ(why(), "main.cc has other contents than in the last run");
}

TEST_F(Reasons, name_what_can_be_found_in_the_place_of_an_unchanged_file) {
  ASSERT_GOOD(build());
  write("first/value.h", "#define VALUE 2\n");
  EXPECT_EQ(why(), "other files of the name value.h can be found than in the last run, now first/value.h");
}

TEST_F(Reasons, name_a_header_that_a_folder_of_the_host_has_now) {
  cmake(
      fmt::format("add_library(tiny OBJECT main.cc)\n"
                  "target_include_directories(tiny SYSTEM PRIVATE {0}/a {0}/b)\n",
                  host().string()));
  tests::write(host() / "a" / "one.h", "");
  tests::write(host() / "b" / "two.h", "#define TWO 2\n");
  write("main.cc", "#include <two.h>\nint value = TWO;\n");
  ASSERT_GOOD(build());
  tests::write(host() / "a" / "two.h", "#define TWO 3\n");
  EXPECT_EQ(why(),
            fmt::format("other files of the name two.h can be found than in the last run, now {}/a/two.h",
                        host().string()));
}

TEST_F(Reasons, name_files_that_are_gone) {
  write("first/value.h", "#define VALUE 2\n");
  ASSERT_GOOD(build());
  remove("first/value.h");
  EXPECT_EQ(why(), "first/value.h is not there any more");
}

TEST_F(Reasons, name_the_file_that_asks_what_there_is) {
  write("main.cc", "#if __has_include(\"more.h\")\nint more;\n#endif\nint value;\n");
  ASSERT_GOOD(build());
  write("first/more.h", "");
  EXPECT_EQ(why(), "main.cc asks by __has_include what there is, and that is not as in the last run");
}

TEST_F(Reasons, tell_another_command_from_none) {
  ASSERT_GOOD(build());
  cmake(
      "add_library(tiny OBJECT main.cc more.cc)\n"
      "target_include_directories(tiny PRIVATE first second)\n"
      "target_compile_definitions(tiny PRIVATE MORE)\n");
  write("more.cc", "");
  EXPECT_EQ(why(), "its command changed since the last run");
  EXPECT_EQ(why("CMakeFiles/tiny.dir/more.cc.o"), "the cache knows no run that made it");
}

TEST_F(Reasons, name_an_input_that_an_edge_has_not_had_before) {
  const auto text = [](const std::string& depends) {
    return "add_custom_command(OUTPUT out.txt COMMAND cat ${CMAKE_SOURCE_DIR}/in.txt > out.txt DEPENDS " +
           depends + ")\nadd_custom_target(all_of_it ALL DEPENDS out.txt)\n";
  };
  write("in.txt", "in\n");
  write("more.txt", "more\n");
  cmake(text("in.txt"));
  ASSERT_GOOD(build());
  cmake(text("in.txt more.txt"));
  EXPECT_EQ(why("out.txt"), "it gets more.txt now");
  ASSERT_GOOD(build());
  cmake(text("more.txt in.txt"));
  EXPECT_EQ(why("out.txt"), "its inputs come in another order than in the last run");
  cmake(text("in.txt more.txt"));
  write("in.txt", "other\n");
  EXPECT_EQ(why("out.txt"), "in.txt has other contents than in the last run");
}

TEST_F(Reasons, name_the_tools_when_all_else_is_the_same) {
  const std::filesystem::path tool = host() / "tool";
  const auto write_tool = [&](const std::string& word) {
    tests::write(tool, "#!/bin/sh\necho " + word + " > out.txt\n");
    std::filesystem::permissions(tool, std::filesystem::perms::owner_all);
  };
  write_tool("one");
  cmake("add_custom_command(OUTPUT out.txt COMMAND " + tool.string() +
        ")\nadd_custom_target(all_of_it ALL DEPENDS out.txt)\n");
  ASSERT_GOOD(build());
  write_tool("another");
  EXPECT_EQ(why("out.txt"), "its compiler or another of its tools changed since the last run");
}

TEST_F(Reasons, say_that_the_same_ran_for_a_change_that_nobody_has_kept) {
  request_.cache_owner = 7;
  ASSERT_GOOD(build());
  EXPECT_EQ(why(), "hit");
  request_.cache_owner = 0;
  EXPECT_EQ(why(), "its last run was for a change that is not kept so far");
  ASSERT_GOOD(build::settle(cache(), 7, false));
  EXPECT_FALSE(knows_a_run());
}

TEST_F(Reasons, go_with_the_results_they_belong_to) {
  ASSERT_GOOD(build());
  EXPECT_TRUE(knows_a_run());
  {
    ASSERT_OK(cache::ActionStore opened, store());
    const artifacts::OutputPool pool(cache() / "outputs");
    const std::int64_t later = std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count() +
                               kDayMs;
    ASSERT_GOOD(cache::prune(opened, pool, 0, later, [](std::int64_t) { return false; }));
  }
  EXPECT_FALSE(knows_a_run());
  ASSERT_GOOD(build());
  EXPECT_TRUE(knows_a_run());
  {
    ASSERT_OK(cache::ActionStore opened, store());
    ASSERT_OK(const std::vector<cache::ResultRow> rows, opened.results());
    for (const cache::ResultRow& row : rows) ASSERT_GOOD(opened.forget(row.key));
  }
  EXPECT_FALSE(knows_a_run());
}

TEST_F(Reasons, begin_with_a_store_that_has_none_and_lose_no_result_of_it) {
  ASSERT_GOOD(build());
  {
    ASSERT_OK(sqlite::Database old, sqlite::Database::open(cache() / "actions.db"));
    ASSERT_GOOD(old.execute(
        "DROP TABLE last_run; DROP TABLE wrong; DROP TRIGGER result_is_removed; DROP TABLE removed; "
        "DROP TABLE swept; DROP INDEX shown_by_list; ALTER TABLE result DROP COLUMN action; "
        "UPDATE schema_version SET version=1"));
  }
  expect_all_hits();
  write("second/value.h", "#define VALUE 2\n");
  EXPECT_EQ(why(), "an input has other contents than in any run before");
  ASSERT_GOOD(build());
  write("second/value.h", "#define VALUE 3\n");
  EXPECT_EQ(why(), "second/value.h has other contents than in the last run");
}

}  // namespace
}  // namespace sb::tests
