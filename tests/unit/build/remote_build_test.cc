// Whole builds with a remote cache: what a cycle made reaches other machines once it was kept.
#include <gtest/gtest.h>

#include "build/builder.h"
#include "support/cache_servers.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

class RemoteBuilder : public testing::Test {
 protected:
  void SetUp() override {
    const auto source = folder_.path() / "tree";
    tests::write(source / "CMakeLists.txt",
                 "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES CXX)\nadd_executable(tiny "
                 "main.cc)\n");
    tests::write(source / "main.cc", "int main() { return 0; }\n");
    request_.source = source;
    request_.build = folder_.path() / "build";
    request_.log = folder_.path() / "log";
    request_.envelope.wall = std::chrono::minutes(5);
  }
  // On a machine of that name.
  Result<BuildReport> run(const std::string& machine) {
    request_.cache = folder_.path() / machine;
    return build(request_, {});
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  BuildRequest request_;
};

TEST_F(RemoteBuilder, shares_what_a_cycle_made_when_it_was_kept) {
  const auto server = tests::start_redis();
  if (!server) GTEST_SKIP() << "Redis is not installed: ci/setup check";
  request_.remote.url = server->url();
  request_.cache_owner = 5;
  ASSERT_OK(const BuildReport first, run("first"));
  EXPECT_EQ(first.edges_run, 2);
  EXPECT_TRUE(server->names().empty());
  ASSERT_GOOD(settle(request_.cache, 5, true));
  EXPECT_EQ(server->names().size(), 4U) << "two results, two files";

  request_.cache_owner = 6;
  ASSERT_OK(const BuildReport second, run("second"));
  EXPECT_EQ(second.edges_cached, 2);
  EXPECT_EQ(second.edges_run, 0);
}

TEST_F(RemoteBuilder, says_in_one_line_that_the_remote_is_left_alone) {
  request_.remote.url = "redis://me:secret@127.0.0.1:" + std::to_string(tests::free_port());
  ASSERT_OK(const BuildReport report, run("first"));
  EXPECT_EQ(report.edges_run, 2);
  EXPECT_NE(report.cache_note.find("the remote cache redis://127.0.0.1:"), std::string::npos)
      << report.cache_note;
  EXPECT_NE(report.cache_note.find("is left alone for 30.0 s"), std::string::npos) << report.cache_note;
  EXPECT_EQ(report.cache_note.find("secret"), std::string::npos) << report.cache_note;
  EXPECT_EQ(report.cache_note.find('\n'), std::string::npos) << report.cache_note;
}

}  // namespace
}  // namespace sb::build
