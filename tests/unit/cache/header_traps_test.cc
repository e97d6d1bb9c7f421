// Which header an include finds may change although nothing that was read has changed.
#include <fmt/format.h>

#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

constexpr int kCrowd = 20;

// With few files of the names that are included, and with many more in folders that no search looks into.
class HeaderTraps : public Workshop, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    cmake(
        "add_library(tiny OBJECT main.cc)\n"
        "target_include_directories(tiny PRIVATE first second)\n"
        "target_include_directories(tiny SYSTEM PRIVATE " +
        (host() / "a").string() + " " + (host() / "b").string() + ")\n");
    write("first/other.h", "");
    write("second/value.h", "#define VALUE 1\n");
    write("main.cc", "#include \"value.h\"\nint value = VALUE;\n");
    for (int i = 0; GetParam() && i < kCrowd; ++i) {
      write(fmt::format("crowd/{}/value.h", i), "#error\n");
      write(fmt::format("crowd/{}/part/value.h", i), "#error\n");
    }
    tests::write(host() / "a" / "one.h", "");
    tests::write(host() / "b" / "two.h", "#define TWO 2\n");
  }
  // The project as it is builds once; after the change, what is built is right, and built.
  void expect_noticed(const std::function<void()>& change) {
    ASSERT_GOOD(build());
    expect_all_hits();
    change();
    EXPECT_EQ(build_and_compare().report.edges_cached, 0);
    expect_all_hits();
  }
};

TEST_P(HeaderTraps, what_was_built_is_not_built_again) {
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
  expect_all_hits();
  EXPECT_EQ(build_and_compare().report.edges_cached, 1);
}

TEST_P(HeaderTraps, a_header_that_comes_earlier_on_the_include_path_is_read) {
  expect_noticed([&] { write("first/value.h", "#define VALUE 2\n"); });
}

TEST_P(HeaderTraps, a_header_that_comes_later_on_the_include_path_changes_nothing_that_is_built) {
  cmake("add_library(tiny OBJECT main.cc)\ntarget_include_directories(tiny PRIVATE second third)\n");
  ASSERT_GOOD(build());
  write("elsewhere/value.h", "#define VALUE 2\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 1) << "no search looks into that folder";
}

TEST_P(HeaderTraps, a_header_beside_the_includer_is_read) {
  expect_noticed([&] { write("value.h", "#define VALUE 3\n"); });
}

TEST_P(HeaderTraps, a_header_beside_an_including_header_is_read) {
  write("deep/entry.h", "#include \"value.h\"\n");
  write("main.cc", "#include \"deep/entry.h\"\nint value = VALUE;\n");
  expect_noticed([&] { write("deep/value.h", "#define VALUE 4\n"); });
}

TEST_P(HeaderTraps, a_header_above_the_includer_is_read) {
  cmake("add_library(tiny OBJECT sub/main.cc)\ntarget_include_directories(tiny PRIVATE first second/x)\n");
  write("second/x/y.h", "");
  write("sub/main.cc", "#include \"../value.h\"\nint value = VALUE;\n");
  expect_noticed([&] { write("value.h", "#define VALUE 5\n"); });
}

TEST_P(HeaderTraps, a_header_in_a_subfolder_of_an_earlier_folder_is_read) {
  write("second/part/value.h", "#define VALUE 1\n");
  write("main.cc", "#include \"part/value.h\"\nint value = VALUE;\n");
  expect_noticed([&] { write("first/part/value.h", "#define VALUE 6\n"); });
}

TEST_P(HeaderTraps, a_header_behind_a_new_symlink_to_a_folder_is_read) {
  write("hidden/value.h", "#define VALUE 7\n");
  write("main.cc", "#include \"part/value.h\"\nint value = VALUE;\n");
  write("second/part/value.h", "#define VALUE 1\n");
  expect_noticed([&] { link("first/part", "../hidden"); });
}

TEST_P(HeaderTraps, a_header_in_a_folder_that_the_search_reaches_by_a_symlink_is_read) {
  remove("first/other.h");
  link("first", "real");
  write("real/other.h", "");
  expect_noticed([&] { write("real/value.h", "#define VALUE 8\n"); });
}

TEST_P(HeaderTraps, a_header_that_appears_in_a_folder_of_the_host_is_read) {
  write("main.cc", "#include <two.h>\nint value = TWO;\n");
  expect_noticed([&] { tests::write(host() / "a" / "two.h", "#define TWO 9\n"); });
}

TEST_P(HeaderTraps, a_changed_header_of_the_host_is_read) {
  write("main.cc", "#include <two.h>\nint value = TWO;\n");
  expect_noticed([&] { tests::write(host() / "b" / "two.h", "#define TWO 10\n"); });
}

TEST_P(HeaderTraps, the_search_is_known_behind_launchers) {
  request_.options.emplace_back("-DCMAKE_CXX_COMPILER_LAUNCHER=cmake;-E;env;LANG=C");
  expect_noticed([&] { write("first/value.h", "#define VALUE 11\n"); });
}

TEST_P(HeaderTraps, the_search_is_known_from_response_files) {
  request_.options.emplace_back("-DCMAKE_NINJA_FORCE_RESPONSE_FILE=ON");
  expect_noticed([&] { write("first/value.h", "#define VALUE 12\n"); });
  EXPECT_NE(read(lay_out() / "tree" / "first" / "value.h"), "");
}

TEST_P(HeaderTraps, the_search_is_known_from_long_flags) {
  cmake(
      "add_library(tiny OBJECT main.cc)\n"
      "target_compile_options(tiny PRIVATE --include-directory=${CMAKE_SOURCE_DIR}/first "
      "-iprefix ${CMAKE_SOURCE_DIR}/ -iwithprefix second)\n");
  ASSERT_GOOD(build());
  write("first/value.h", "#define VALUE 13\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

TEST_P(HeaderTraps, the_search_is_known_of_a_forced_include) {
  cmake(
      "add_library(tiny OBJECT main.cc)\n"
      "target_compile_options(tiny PRIVATE -include value.h)\n"
      "target_include_directories(tiny PRIVATE first second)\n");
  write("main.cc", "int value = VALUE;\n");
  expect_noticed([&] { write("first/value.h", "#define VALUE 14\n"); });
}

TEST_P(HeaderTraps, a_removed_header_uncovers_the_next) {
  write("first/value.h", "#define VALUE 15\n");
  expect_noticed([&] { remove("first/value.h"); });
}

INSTANTIATE_TEST_SUITE_P(Names, HeaderTraps, testing::Bool(),
                         [](const auto& one) { return std::string(one.param ? "crowded" : "rare"); });

}  // namespace
}  // namespace sb::tests
