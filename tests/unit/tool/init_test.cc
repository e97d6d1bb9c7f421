// init: every template fills in, nothing is overwritten, and the first selfbuild.yaml is one that selfbuild
// reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "command_line.h"
#include "project/project_file.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "tool/selfbuild/starter_manifest.h"

namespace sb::tool {
namespace {

using sb::tests::read;
using sb::tests::write;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(StarterManifest, takes_the_preset_and_the_program_of_the_project) {
  const std::string text = starter_manifest(
      "hello", "project(Hello)\n# add_executable(no)\nadd_executable(hello-world main.cc)\n",
      R"({"configurePresets": [{"name": "base", "hidden": true}, {"name": "dev"}, {"name": "release"}]})");
  ASSERT_OK(const project::ProjectFile file, project::parse_project_file(text, "selfbuild.yaml"));
  EXPECT_EQ(file.name, "hello");
  EXPECT_EQ(file.build.preset, "release");
  EXPECT_EQ(file.build.outputs, std::vector<std::string>{"hello-world"});
  EXPECT_TRUE(file.services.empty());
}

TEST(StarterManifest, is_valid_when_nothing_can_be_read) {
  for (const char* lists :
       {"", "add_executable(${PROJECT_NAME} a.cc)", "add_executable(", "add_executable(x ALIAS y)"}) {
    ASSERT_OK(const project::ProjectFile file,
              project::parse_project_file(starter_manifest("hello", lists, "not json"), "selfbuild.yaml"));
    EXPECT_EQ(file.build.outputs, std::vector<std::string>{"hello"}) << lists;
    EXPECT_EQ(file.build.options, std::vector<std::string>{"-DCMAKE_BUILD_TYPE=Release"}) << lists;
  }
}

TEST(StarterManifest, has_a_service_that_is_valid_when_its_marks_are_removed) {
  const std::string starter = starter_manifest("hello", "", "");
  std::string text;
  bool service = false;
  for (const std::string_view line : split_lines(starter)) {
    service = service || line == "# ---";
    text += std::string(service && line.starts_with("# ") ? line.substr(2) : line) + "\n";
  }
  ASSERT_OK(const project::ProjectFile file, project::parse_project_file(text, "selfbuild.yaml"));
  ASSERT_EQ(file.services.size(), 1U);
}

TEST(StarterManifest, makes_a_name_of_any_text) {
  EXPECT_EQ(name_from("My Project_2"), "my-project-2");
  EXPECT_EQ(name_from("--"), "project");
  EXPECT_EQ(name_from(std::string(100, 'x')).size(), 63U);
}

TEST(Init, writes_every_template_with_the_name_filled_in) {
  for (const std::string name : {"counter", "service", "tool"}) {
    const tests::CommandLine line;
    const tests::Ran ran = line.run({"init", "--template", name, "--name", "greeter", "new"});
    ASSERT_EQ(ran.code, kDone) << ran.err;
    const std::filesystem::path root = line.folder() / "new";
    ASSERT_OK(const project::ProjectFile file,
              project::parse_project_file(read(root / "selfbuild.yaml"), "selfbuild.yaml"));
    EXPECT_EQ(file.name, "greeter");
    EXPECT_EQ(file.services.empty(), name == "tool");
    for (const std::string_view path : split_lines(ran.out)) {
      EXPECT_THAT(read(root / path), AllOf(Not(HasSubstr("@NAME@")), Not(testing::IsEmpty()))) << path;
    }
    EXPECT_THAT(ran.err, AllOf(HasSubstr("  cd new\n  git init -b main\n  git add -A\n"),
                               testing::EndsWith("  selfbuild update\n")));
  }
}

TEST(Init, overwrites_nothing_and_then_writes_nothing) {
  const tests::CommandLine line;
  write(line.folder() / "CMakeLists.txt", "mine");
  const tests::Ran ran = line.run({"init", "--template", "tool"});
  EXPECT_EQ(ran.code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr((line.folder() / "CMakeLists.txt").string() + " exists already"));
  EXPECT_EQ(read(line.folder() / "CMakeLists.txt"), "mine");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(line.folder()), {}), 1);
}

TEST(Init, gives_a_cmake_project_its_manifest_once) {
  const tests::CommandLine line;
  write(line.folder() / "CMakeLists.txt", "project(x)\nadd_executable(tool a.cc)\n");
  const tests::Ran ran = line.run({"init"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_EQ(ran.out, "selfbuild.yaml\n");
  ASSERT_GOOD(project::parse_project_file(read(line.folder() / "selfbuild.yaml"), "selfbuild.yaml"));
  EXPECT_EQ(line.run({"init"}).code, kRefused);
}

TEST(Init, asks_for_a_template_where_there_is_nothing) {
  const tests::CommandLine line;
  const tests::Ran ran = line.run({"init"});
  EXPECT_EQ(ran.code, kUsage);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("name a template"), HasSubstr("service")));
  EXPECT_EQ(line.run({"init", "--template", "servce"}).code, kUsage);
  EXPECT_EQ(line.run({"init", "--template", "tool", "--name", "Not A Name"}).code, kUsage);
}

}  // namespace
}  // namespace sb::tool
