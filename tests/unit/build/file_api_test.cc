// Replies of CMake's file API that no CMake wrote, and the record that a configure leaves.
#include "build/file_api.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "build/configuration.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

class FileApi : public testing::Test {
 protected:
  void reply(const std::string& name, const std::string& text) {
    tests::write(folder_.path() / ".cmake/api/v1/reply" / name, text);
  }
  // An index that names one file for every kind.
  void index(const std::string& file) {
    std::string responses;
    for (const char* kind : {"cmakeFiles", "toolchains", "cache"}) {
      responses += std::string(responses.empty() ? "" : ",") + R"({"kind":")" + kind + R"(","jsonFile":")" +
                   file + "\"}";
    }
    reply("index-1.json", R"({"cmake":{"version":{"string":"3.25.1"},"generator":{"name":"Ninja"}},)"
                          R"("reply":{"client-selfbuild":{"query.json":{"responses":[)" +
                              responses + "]}}}}");
  }
  std::string error() {
    const auto result = read_reply(folder_.path(), "/src");
    if (result) return "read";
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
    return result.error().what;
  }
  void expect_error_with(std::string_view words) {
    const std::string what = error();
    EXPECT_NE(what.find(words), std::string::npos) << what;
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

TEST_F(FileApi, reads_inputs_compiler_and_cache) {
  index("all.json");
  reply("all.json", R"({"inputs":[{"path":"CMakeLists.txt"},{"path":"/b/gen.cmake","isGenerated":true},
      {"path":"/usr/share/x.cmake","isCMake":true}],
      "toolchains":[{"language":"C","compiler":{"id":"GNU","version":"12.1","path":"/usr/bin/cc"}},
                    {"language":"CXX","compiler":{"id":"GNU","version":"12.2","path":"/usr/bin/c++"}}],
      "entries":[{"name":"CMAKE_BUILD_TYPE","value":"Release"},{"name":"CMAKE_CXX_FLAGS","value":"-g"},
                 {"name":"CMAKE_CXX_FLAGS_RELEASE","value":"-O3"}]})");
  ASSERT_OK(const FileApiReply read, read_reply(folder_.path(), "/src"));
  EXPECT_EQ(read.generator, "Ninja");
  EXPECT_EQ(read.inputs, (std::vector<fs::path>{"/src/CMakeLists.txt", "/usr/share/x.cmake"}));
  EXPECT_EQ(read.compiler, "GNU 12.2");
  EXPECT_EQ(read.compilers.size(), 2U);
  EXPECT_EQ(read.cache.cxx_flags, "-g -O3");
}

TEST_F(FileApi, takes_the_newest_index) {
  index("all.json");
  reply("index-0.json", "garbage");
  reply("all.json", R"({"inputs":[]})");
  EXPECT_EQ(error(), "read");
  reply("index-2.json", "garbage");
  expect_error_with("not valid JSON");
}

TEST_F(FileApi, refuses_what_cmake_would_not_write) {
  expect_error_with("there is no index file");
  reply("index-1.json", std::string(100'000, '[') + std::string(100'000, ']'));
  expect_error_with("nested deeper than 64");
  reply("index-1.json", "[]");
  expect_error_with("not an object");
  reply("index-1.json", R"({"reply":{"client-selfbuild":{"query.json":{"responses":7}}}})");
  expect_error_with("no answer for cmakeFiles");
  index("../../../../../etc/passwd");
  expect_error_with("no file for cmakeFiles");
  index("missing.json");
  expect_error_with("not a regular file");
  index("all.json");
  reply("all.json", R"({"inputs":{"a":1}})");
  expect_error_with("no inputs");
  reply("all.json", std::string(5'000'000, ' '));
  expect_error_with("larger than");
}

TEST_F(FileApi, does_not_wait_for_a_fifo) {
  index("pipe.json");
  ASSERT_EQ(::mkfifo((folder_.path() / ".cmake/api/v1/reply/pipe.json").c_str(), 0600), 0);
  expect_error_with("not a regular file");
}

TEST_F(FileApi, ignores_members_of_wrong_types) {
  index("all.json");
  reply("all.json",
        R"({"inputs":[1,null,{"path":3},{"path":"a","isGenerated":"yes"}],"toolchains":[[],{"compiler":4}],
                        "entries":[{"name":1}]})");
  ASSERT_OK(const FileApiReply read, read_reply(folder_.path(), "/src"));
  EXPECT_EQ(read.inputs, (std::vector<fs::path>{"/src/a"}));
}

TEST_F(FileApi, writes_the_query_once) {
  ASSERT_GOOD(write_query(folder_.path()));
  const fs::path file = folder_.path() / ".cmake/api/v1/query/client-selfbuild/query.json";
  const Input before = look_at(file);
  EXPECT_GT(before.size, 0);
  ASSERT_GOOD(write_query(folder_.path()));
  EXPECT_EQ(look_at(file), before);
}

TEST_F(FileApi, replaces_a_symlink_instead_of_writing_through_it) {
  const fs::path victim = folder_.path() / "victim";
  tests::write(victim, "precious");
  fs::create_symlink(victim, folder_.path() / kConfigurationFile);
  ASSERT_GOOD(save(Configuration{}, folder_.path()));
  EXPECT_EQ(tests::read(victim), "precious");
  EXPECT_TRUE(load_configuration(folder_.path()).has_value());
}

TEST_F(FileApi, keeps_a_configuration_as_it_was) {
  Configuration written;
  written.source = "/src";
  written.options = {"-DA=\"b c\""};
  written.inputs = {Input{"/src/CMakeLists.txt", 12, 1'700'000'000'123'456'789}, Input{"/src/none", -1, 0}};
  written.edge_counts = {{"", 3}, {"a b", 2}};
  ASSERT_GOOD(save(written, folder_.path()));
  ASSERT_OK(const Configuration read, load_configuration(folder_.path()));
  EXPECT_EQ(read.source, written.source);
  EXPECT_EQ(read.options, written.options);
  EXPECT_EQ(read.inputs, written.inputs);
  EXPECT_EQ(read.edge_counts, written.edge_counts);
}

TEST_F(FileApi, takes_a_damaged_configuration_as_none) {
  for (const char* text : {"", "{", "[]", "{}", R"({"format":2})", R"({"format":1,"source":5})"}) {
    tests::write(folder_.path() / kConfigurationFile, text);
    const auto loaded = load_configuration(folder_.path());
    EXPECT_FALSE(loaded.has_value()) << text;
    EXPECT_EQ(decide(BuildRequest{}, loaded).fresh, true);
  }
}

TEST_F(FileApi, follows_the_includes_of_presets) {
  tests::write(folder_.path() / "CMakePresets.json", R"({"version":6,"include":["cmake/base.json"]})");
  tests::write(folder_.path() / "cmake/base.json",
               R"({"version":6,"include":["../CMakePresets.json","more.json"]})");
  const auto files = preset_files(folder_.path());
  EXPECT_EQ(files, (std::vector<fs::path>{
                       folder_.path() / "CMakePresets.json", folder_.path() / "CMakeUserPresets.json",
                       folder_.path() / "cmake/base.json", folder_.path() / "cmake/more.json"}));
}

}  // namespace
}  // namespace sb::build
