// What shows the path of a stage in a file.
#include "cache/path_traces.h"

#include <algorithm>
#include <cctype>

#include <gtest/gtest.h>

#include "support/files.h"
#include "support/program.h"
#include "support/result_matchers.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

class PathTraces : public testing::Test {
 protected:
  PathTraces() {
    fs::create_directories(folder_.path() / "real/tree");
    fs::create_directory_symlink(folder_.path() / "real", folder_.path() / "link");
    places_ = {.source = (folder_.path() / "link/tree").string(),
               .build = (folder_.path() / "link/build").string(),
               .view = std::nullopt};
    traces_ = path_traces(places_, {"PATH=/usr/bin", "HOME=/throw/away", "TMPDIR=/throw/away"});
  }
  [[nodiscard]] std::string object(const std::string& flags) const {
    const fs::path source = folder_.path() / "x.cc";
    tests::write(source, "int x() { return 1; }\n");
    const std::string made = (folder_.path() / "x.o").string();
    const tests::Finished done = tests::run_program({"/bin/sh", "-c", "g++ " + flags + " -c x.cc -o " + made},
                                                    folder_.path(), {{"PATH", "/usr/bin:/bin"}});
    EXPECT_EQ(done.code, 0) << done.all();
    return made;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  Places places_;
  std::vector<std::string> traces_;
};

TEST_F(PathTraces, are_the_folders_and_what_they_really_are) {
  for (const std::string& text :
       {places_.source + "/x.cc", places_.build, (folder_.path() / "real/tree/x.cc").string(),
        (folder_.path() / "real/build").string(), std::string("/throw/away/cc1.s")})
    EXPECT_TRUE(has_trace("before " + text + " after", traces_)) << text;
  EXPECT_FALSE(has_trace((folder_.path() / "real").string(), traces_));
  EXPECT_FALSE(has_trace("/usr/bin", traces_));
}

TEST_F(PathTraces, are_found_in_names_of_symbols) {
  std::string name = places_.source;
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  EXPECT_TRUE(has_trace("_binary_" + name + "_x_start", traces_));
}

TEST_F(PathTraces, are_found_across_the_blocks_of_a_large_file) {
  for (const std::size_t before : {std::size_t{0}, std::size_t{1 << 20} - 5, std::size_t{3 << 20} - 1}) {
    const fs::path file = folder_.path() / "large";
    tests::write(file, std::string(before, '.') + places_.build + "tail");
    EXPECT_EQ(file_has_trace(file.string(), traces_).value_or(false), true);
    tests::write(file, std::string(before, '.') + "tail");
    EXPECT_EQ(file_has_trace(file.string(), traces_).value_or(true), false);
  }
  EXPECT_FALSE(file_has_trace((folder_.path() / "none").string(), traces_).has_value());
}

TEST_F(PathTraces, are_visible_in_elf_files_without_packed_sections) {
  EXPECT_TRUE(is_open_elf(object("-O1")));
  EXPECT_TRUE(is_open_elf(object("-g")));
  EXPECT_FALSE(is_open_elf(object("-g -gz")));
  EXPECT_FALSE(is_open_elf(object("-flto")));
  tests::write(folder_.path() / "text",
               "\x7f"
               "ELF");
  EXPECT_FALSE(is_open_elf((folder_.path() / "text").string()));
  EXPECT_FALSE(is_open_elf((folder_.path() / "none").string()));
}

}  // namespace
}  // namespace sb::cache
