// Without a common path of all stages: what is the same at every path is found from every path, and what the
// path could be part of is not.
#include <fmt/format.h>

#include "ninja/deps_log.h"
#include "support/program.h"
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

// In two pieces: this file is a source of builds that are judged.
const std::string kFile =
    "__FILE"
    "__";

constexpr std::string_view kHash =
    "constexpr unsigned hash(const char* s) { unsigned h = 0; while (*s) h = h * 31 + *s++; return h; }\n";

// The path is in it, and not to be seen.
std::string hash_of(const std::string& what) {
  return fmt::format("{}constexpr unsigned hashed = hash({});\nunsigned value = hashed;\n", kHash, what);
}

class WithoutView : public Workshop {
 protected:
  WithoutView() { with_view_ = false; }
  // The project in a stage at this place, with the cache. What it makes must be what a build makes there.
  Built build_at(const std::string& place) {
    fs::remove_all(folder() / place);
    const fs::path stage = lay_out(place);
    Result<Built> cached = build_in(stage, true);
    EXPECT_TRUE(cached.has_value()) << (cached ? "" : format_error(cached.error()));
    if (!cached) return {};
    const std::map<std::string, std::string> made = products_of(cached->build);
    EXPECT_FALSE(made.empty());
    fs::rename(cached->build, stage / "aside");
    const Result<Built> plain = build_in(stage, false);
    EXPECT_TRUE(plain.has_value()) << (plain ? "" : format_error(plain.error()));
    EXPECT_TRUE(plain && made == products_of(plain->build)) << place;
    fs::remove_all(cached->build);
    fs::rename(stage / "aside", cached->build);
    return *std::move(cached);
  }
  // How many edges of a build somewhere else come from the cache after this one.
  int found_elsewhere() {
    const Built first = build_at("one");
    EXPECT_EQ(first.report.edges_cached, 0);
    const Built again = build_at("one");
    EXPECT_EQ(again.report.edges_cached, again.report.edges_total) << "at the same place";
    EXPECT_EQ(again.report.edges_shareable + again.report.edges_own, again.report.edges_total);
    const Built other = build_at("a/much/longer/one");
    EXPECT_EQ(other.report.edges_cached, again.report.edges_shareable)
        << "what is said to be shareable is shared";
    return other.report.edges_cached;
  }
  void object(const std::string& source, const std::string& more = {}) {
    cmake("add_library(tiny OBJECT main.cc)\n" + more);
    write("main.cc", source);
  }
  static Finished ninja(const Built& built) {
    return run_program({"ninja", "-d", "explain"}, built.build, {{"PATH", "/usr/local/bin:/usr/bin:/bin"}});
  }
};

TEST_F(WithoutView, objects_archives_and_programs_are_found_from_another_path) {
  cmake(
      "add_library(part STATIC part.cc part.h)\nadd_executable(tiny main.cc)\n"
      "target_link_libraries(tiny part)\ntarget_include_directories(tiny PRIVATE ${CMAKE_SOURCE_DIR})\n");
  write("part.h", "#include <string>\nstd::string part();\n");
  write("part.cc", "#include \"part.h\"\nstd::string part() { return \"part\"; }\n");
  write("main.cc", "#include <part.h>\nint main() { return part().empty(); }\n");
  ASSERT_EQ(build_at("one").report.edges_cached, 0);
  const Built other = build_at("a/much/longer/one");
  EXPECT_EQ(other.report.edges_cached, 4);
  EXPECT_EQ(other.report.edges_run, 0);
  EXPECT_EQ(other.report.edges_shareable, 4);
  EXPECT_EQ(other.report.edges_own, 0);
  EXPECT_NE(other.report.cache_note.find("4 of 4 edges can be shared between stages, 0 only with this one"),
            std::string::npos)
      << other.report.cache_note;

  // Ninja's logs have the paths of this stage.
  EXPECT_NE(ninja(other).out.find("no work to do"), std::string::npos) << ninja(other).all();
  ASSERT_OK(const ninja::DepsLog deps, ninja::DepsLog::load(other.build));
  int here = 0;
  for (ninja::DepsLog::PathId id = 0; id < deps.path_count(); ++id) {
    EXPECT_NE(deps.path(id).find("/selfbuild"), 0U);
    EXPECT_EQ(deps.path(id).find((folder() / "one").string()), std::string::npos) << deps.path(id);
    here += deps.path(id).starts_with(other.tree.string()) ? 1 : 0;
  }
  EXPECT_EQ(here, 3) << "main.cc, part.cc, part.h";
  tests::write(other.tree / "part.h", "#include <string>\nstd::string part();  // changed\n");
  EXPECT_NE(ninja(other).all().find("part.h"), std::string::npos) << "it waits for the header of this stage";
}

TEST_F(WithoutView, a_changed_header_of_this_stage_is_seen) {
  object("#include \"value.h\"\nint value = VALUE;\n");
  write("value.h", "#define VALUE 1\n");
  EXPECT_EQ(found_elsewhere(), 1);
  write("value.h", "#define VALUE 2\n");
  EXPECT_EQ(build_at("other").report.edges_cached, 0);
  EXPECT_EQ(build_at("one").report.edges_cached, 1) << "it was built at another path";
}

TEST_F(WithoutView, a_header_that_comes_earlier_is_seen) {
  object("#include \"value.h\"\nint value = VALUE;\n",
         "target_include_directories(tiny PRIVATE first second)\n");
  write("second/value.h", "#define VALUE 1\n");
  EXPECT_EQ(found_elsewhere(), 1);
  write("first/value.h", "#define VALUE 2\n");
  EXPECT_EQ(build_at("other").report.edges_cached, 0);
}

TEST_F(WithoutView, debug_information_has_the_path) {
  object("int value = 1;\n", "target_compile_options(tiny PRIVATE -g)\n");
  EXPECT_EQ(found_elsewhere(), 0);
}

TEST_F(WithoutView, debug_information_may_pack_the_path) {
  object("int value = 1;\n", "target_compile_options(tiny PRIVATE -g -gz)\n");
  EXPECT_EQ(found_elsewhere(), 0);
}

TEST_F(WithoutView, debug_information_whose_paths_are_mapped_is_found) {
  object("int value = 1;\n",
         "target_compile_options(tiny PRIVATE -g -ffile-prefix-map=${CMAKE_SOURCE_DIR}=src "
         "-ffile-prefix-map=${CMAKE_BINARY_DIR}=out)\n");
  EXPECT_EQ(found_elsewhere(), 1);
}

TEST_F(WithoutView, link_time_optimization_packs_what_it_knows) {
  object("int value = 1;\n", "target_compile_options(tiny PRIVATE -flto -frandom-seed=1)\n");
  EXPECT_EQ(found_elsewhere(), 0);
}

struct Question {
  std::string name;
  std::string source;
  std::string header{};  // of the stage, "here.h"
  std::string host{};    // … of the host, <there.h>
  std::string more{};    // for CMake
  int shared = 0;
};

void PrintTo(const Question& question, std::ostream* out) {
  *out << question.name;
}

class PathQuestion : public WithoutView, public testing::WithParamInterface<Question> {};

TEST_P(PathQuestion, is_answered_for_each_path) {
  const Question& question = GetParam();
  object(question.source,
         "target_include_directories(tiny SYSTEM PRIVATE " + host().string() + ")\n" + question.more);
  write("here.h", question.header);
  write(host() / "there.h", question.host);
  ASSERT_EQ(found_elsewhere(), question.shared);
}

INSTANTIATE_TEST_SUITE_P(
    Sources, PathQuestion,
    testing::Values(
        Question{.name = "plain", .source = "const char* value = " + kFile + ";\n"},
        Question{.name = "length", .source = "unsigned long value = __builtin_strlen(" + kFile + ");\n"},
        Question{.name = "hash", .source = hash_of(kFile)},
        Question{.name = "base_file",
                 .source = hash_of("__BASE_FILE"
                                   "__")},
        Question{.name = "builtin",
                 .source = hash_of("__builtin_FI"
                                   "LE()")},
        Question{.name = "source_location",
                 .source = "#include <experimental/source_"
                           "location>\n" +
                           hash_of("std::experimental::source_"
                                   "location::current().file_name()")},
        Question{.name = "in_a_header",
                 .source = "#include \"here.h\"\n" + hash_of("HERE"),
                 .header = "#define HERE " + kFile + "\n"},
        Question{.name = "in_a_header_of_the_host",
                 .source = "#include <there.h>\n" + hash_of("HERE"),
                 .host = "#define WHERE " + kFile + "\n#define HERE WHERE\n"},
        Question{
            .name = "pasted",
            .source = "#include <there.h>\n" + hash_of("CAT(HE, RE)"),
            .host = "#define HERE " + kFile + "\n#define CAT_(a, b) a##b\n#define CAT(a, b) CAT_(a, b)\n"},
        Question{.name = "by_a_default_argument_of_the_host",
                 .source = "#include <there.h>\nunsigned value = here();\n",
                 .host = std::string(kHash) + "constexpr unsigned here(const char* s = __builtin_FI"
                                              "LE()) { return hash(s); }\n"},
        Question{.name = "in_a_definition",
                 .source = hash_of("HERE"),
                 .more = "target_compile_options(tiny PRIVATE -DHERE=" + kFile + ")\n"},
        Question{.name = "as_a_definition",
                 .source = hash_of("ROOT"),
                 .more = "target_compile_definitions(tiny PRIVATE ROOT=\"${CMAKE_SOURCE_DIR}\")\n"},
        Question{.name = "of_a_header_of_the_host",
                 .source = "#include <there.h>\nunsigned value = there;\n",
                 .host = std::string(kHash) + "constexpr unsigned there = hash(" + kFile + ");\n",
                 .shared = 1},
        Question{.name = "assert", .source = "#include <cassert>\nvoid f(int x) { assert(x); }\n"},
        Question{.name = "assert_that_is_off",
                 .source = "#include <cassert>\nvoid f(int x) { assert(x); }\n",
                 .more = "target_compile_definitions(tiny PRIVATE NDEBUG)\n",
                 .shared = 1},
        Question{.name = "nothing", .source = "#include <vector>\nstd::vector<int> value;\n", .shared = 1}),
    [](const testing::TestParamInfo<Question>& each) { return each.param.name; });

TEST_F(WithoutView, paths_of_one_length_are_told_apart) {
  object(hash_of(kFile));
  ASSERT_EQ(build_at("one").report.edges_cached, 0);
  EXPECT_EQ(build_at("two").report.edges_cached, 0);
  object("constexpr unsigned long n = __builtin_strlen(" + kFile + ");\nunsigned long value = n;\n");
  ASSERT_EQ(build_at("one").report.edges_cached, 0);
  EXPECT_EQ(build_at("a/longer/one").report.edges_cached, 0);
}

TEST_F(WithoutView, a_header_that_is_made_may_have_the_path) {
  cmake(
      "file(GENERATE OUTPUT configured.h CONTENT \"#define CONFIGURED \\\"${CMAKE_BINARY_DIR}\\\"\\n\")\n"
      "add_custom_command(OUTPUT made.h COMMAND echo [[#define MADE \"${CMAKE_SOURCE_DIR}\"]] > made.h "
      "VERBATIM)\n"
      "add_library(tiny OBJECT main.cc other.cc plain.cc made.h)\n"
      "target_include_directories(tiny PRIVATE ${CMAKE_BINARY_DIR})\n");
  write("main.cc", "#include \"configured.h\"\nunsigned long value = sizeof(CONFIGURED);\n");
  write("other.cc", "#include \"made.h\"\nunsigned long other = sizeof(MADE);\n");
  write("plain.cc", "int plain = 1;\n");
  ASSERT_EQ(build_at("one").report.edges_cached, 0);
  EXPECT_EQ(build_at("a/longer/one").report.edges_cached, 1)
      << "plain.cc; what the others read is not the same";
}

TEST_F(WithoutView, a_command_of_the_project_is_for_its_stage_alone) {
  cmake(
      "add_custom_command(OUTPUT out COMMAND sh ${CMAKE_SOURCE_DIR}/gen.sh DEPENDS gen.sh)\n"
      "add_custom_target(x ALL DEPENDS out)\n");
  write("gen.sh", "pwd | wc -c > out\n");
  ASSERT_EQ(build_at("one").report.edges_cached, 0);
  EXPECT_EQ(build_at("a/longer/one").report.edges_cached, 0);
  const Built again = build_at("one");
  EXPECT_EQ(again.report.edges_own, 1);
}

TEST_F(WithoutView, a_header_beside_the_stage_is_another_one_elsewhere) {
  object("#include \"../outside.h\"\nint value = VALUE;\n");
  tests::write(folder() / "one/outside.h", "#define VALUE 1\n");
  tests::write(folder() / "two/outside.h", "#define VALUE 2\n");
  const auto build = [&](const std::string& place) { return build_in(lay_out(place), true); };
  ASSERT_GOOD(build("one"));
  ASSERT_OK(const Built other, build("two"));
  EXPECT_EQ(other.report.edges_cached, 0);
  // That of "one" is still there, and still the same.
  tests::write(folder() / "two/outside.h", "#define VALUE 3\n");
  ASSERT_OK(const Built again, build("two"));
  EXPECT_EQ(again.report.edges_cached, 0);
}

TEST_F(WithoutView, a_header_beside_the_stage_that_is_only_asked_for_is_another_one_elsewhere) {
  object("#if __has_include(\"../../outside.h\")\nint value = 1;\n#else\nint value = 2;\n#endif\n");
  ASSERT_GOOD(build_in(lay_out("one"), true));
  tests::write(folder() / "deep/outside.h", "");
  ASSERT_OK(const Built other, build_in(lay_out("deep/two"), true));
  EXPECT_EQ(other.report.edges_cached, 0);
}

TEST_F(WithoutView, a_header_beside_the_stage_whose_name_is_pieced_together_is_another_one_elsewhere) {
  for (const std::string& source :
       {std::string("#define TEXT_(x) #x\n#define TEXT(x) TEXT_(x)\n#include TEXT(UP/outside.h)\n"),
        std::string("#include NAME\n")}) {
    object(source + "int value = VALUE;\n",
           "target_compile_options(tiny PRIVATE -DUP=.. [[-DNAME=\"../outside.h\"]])\n");
    fs::remove_all(folder() / "one");
    fs::remove_all(folder() / "two");
    tests::write(folder() / "one/outside.h", "#define VALUE 1\n");
    tests::write(folder() / "two/outside.h", "#define VALUE 2\n");
    ASSERT_GOOD(build_in(lay_out("one"), true));
    ASSERT_OK(const Built other, build_in(lay_out("two"), true));
    EXPECT_EQ(other.report.edges_cached, 0);
  }
}

TEST_F(WithoutView, a_header_on_the_way_up_in_the_stage_is_found) {
  object("#include \"deep/er/x.h\"\nint value = VALUE;\n");
  write("deep/er/x.h", "#include \"../../y.h\"\n");
  write("y.h", "#define VALUE 1\n");
  EXPECT_EQ(found_elsewhere(), 1);
}

TEST_F(WithoutView, a_warning_that_names_the_path_is_for_its_stage_alone) {
  object("int f() { int unused; return 1; }\n", "target_compile_options(tiny PRIVATE -Wall)\n");
  EXPECT_EQ(found_elsewhere(), 0);
  const Built again = build_at("one");
  ASSERT_EQ(again.report.warnings.size(), 1U);
  EXPECT_EQ(again.report.warnings.front().file, "main.cc");
}

TEST_F(WithoutView, a_program_that_knows_where_its_libraries_lie_is_for_its_stage_alone) {
  cmake(
      "set(CMAKE_SHARED_LIBRARY_SONAME_CXX_FLAG -Wl,-soname,)\n"
      "add_library(part SHARED part.cc)\nset_target_properties(part PROPERTIES VERSION 1.2 SOVERSION 1)\n"
      "add_executable(tiny main.cc)\ntarget_link_libraries(tiny part)\n");
  write("part.cc", "int part() { return 0; }\n");
  write("main.cc", "int part();\nint main() { return part(); }\n");
  const Built first = build_at("one");
  EXPECT_EQ(first.report.edges_total, 5);
  const Built other = build_at("a/longer/one");
  EXPECT_EQ(other.report.edges_cached, 4) << "all but the program, which has an RPATH";
  EXPECT_EQ(other.report.edges_own, 1);
  EXPECT_NE(ninja(other).out.find("no work to do"), std::string::npos) << ninja(other).all();
}

TEST_F(WithoutView, a_stage_behind_a_symlink_is_right) {
  object("int value = 1;\n", "target_compile_options(tiny PRIVATE -g)\n");
  fs::create_directories(folder() / "real");
  fs::create_directory_symlink(folder() / "real", folder() / "link");
  ASSERT_EQ(build_at("link/one").report.edges_cached, 0);
  EXPECT_EQ(build_at("two").report.edges_cached, 0);
}

TEST_F(WithoutView, what_was_built_with_a_view_stays_apart) {
  if (!build::stage_view(folder())) GTEST_SKIP() << "this host gives no private mounts";
  object("const char* value = " + kFile + ";\n");
  with_view_ = true;
  const Built seen = build_and_compare();
  EXPECT_EQ(seen.report.edges_cached, 0);
  EXPECT_EQ(seen.report.edges_own, 0);
  with_view_ = false;
  EXPECT_EQ(found_elsewhere(), 0);
  with_view_ = true;
  const Built again = build_and_compare();
  EXPECT_EQ(again.report.edges_cached, 1);
  EXPECT_EQ(again.report.edges_shareable, 1);
}

}  // namespace
}  // namespace sb::tests
