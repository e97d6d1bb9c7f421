// Another compiler under the same name, other tools in PATH.
#include "unit/cache/workshop.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

class ToolTraps : public Workshop {
 protected:
  void SetUp() override {
    Workshop::SetUp();
    if (IsSkipped()) return;
    cmake("add_library(tiny OBJECT main.cc)\n");
    write("main.cc", "#ifndef VALUE\n#define VALUE 0\n#endif\nint value = VALUE;\n");
  }
  void program(const fs::path& path, const std::string& text) {
    tests::write(path, text);
    fs::permissions(path, fs::perms::owner_all);
  }
  void use_compiler(const fs::path& path) { request_.options[0] = "-DCMAKE_CXX_COMPILER=" + path.string(); }
};

TEST_F(ToolTraps, a_compiler_whose_bytes_change_is_another_one) {
  const fs::path compiler = host() / "g++";
  program(compiler, "#!/bin/sh\nexec /usr/bin/g++ -DVALUE=1 \"$@\"\n");
  use_compiler(compiler);
  build_and_compare();
  expect_all_hits();
  program(compiler, "#!/bin/sh\nexec /usr/bin/g++ -DVALUE=2 \"$@\"\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
  expect_all_hits();
}

TEST_F(ToolTraps, a_part_of_the_compiler_that_changes_makes_it_another_one) {
  const fs::path part = host() / "parts" / "cc1plus";
  const auto real = [&](const std::string& define) {
    program(part, "#!/bin/sh\nexec $(/usr/bin/g++ -print-prog-name=cc1plus) " + define + " \"$@\"\n");
  };
  real("-DVALUE=1");
  request_.options.emplace_back("-DCMAKE_CXX_FLAGS=-B" + part.parent_path().string());
  build_and_compare();
  expect_all_hits();
  real("-DVALUE=2");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

TEST_F(ToolTraps, a_part_in_a_folder_whose_flag_ends_in_a_slash_is_looked_at) {
  const fs::path part = host() / "parts" / "as";
  program(part, "#!/bin/sh\nexec /usr/bin/as \"$@\"\n");
  request_.options.emplace_back("-DCMAKE_CXX_FLAGS=-B" + part.parent_path().string() + "/");
  build_and_compare();
  expect_all_hits();
  program(part, "#!/bin/sh\nexec /usr/bin/as --defsym x=1 \"$@\"\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

TEST_F(ToolTraps, a_tool_that_comes_first_in_another_path_is_run) {
  program(host() / "a" / "gen", "#!/bin/sh\necho one > $1\n");
  program(host() / "b" / "gen", "#!/bin/sh\necho two > $1\n");
  cmake("add_custom_command(OUTPUT out.txt COMMAND gen out.txt)\nadd_custom_target(x ALL DEPENDS out.txt)\n");
  const std::string path = ::getenv("PATH");
  const auto use = [&](const char* folder) {
    ::setenv("PATH", ((host() / folder).string() + ":" + path).c_str(), 1);
  };
  use("a");
  build_and_compare();
  expect_all_hits();
  use("b");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
  ::setenv("PATH", path.c_str(), 1);
}

TEST_F(ToolTraps, a_tool_whose_bytes_change_is_run_again) {
  program(host() / "gen", "#!/bin/sh\necho one > $1\n");
  cmake("add_custom_command(OUTPUT out.txt COMMAND " + (host() / "gen").string() +
        " out.txt)\nadd_custom_target(x ALL DEPENDS out.txt)\n");
  build_and_compare();
  expect_all_hits();
  program(host() / "gen", "#!/bin/sh\necho two > $1\n");
  EXPECT_EQ(build_and_compare().report.edges_cached, 0);
}

}  // namespace
}  // namespace sb::tests
