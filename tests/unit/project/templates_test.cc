// The templates of `selfbuild init` as they are embedded in the program.
#include "staging-templates/templates.h"

#include <set>

#include <gtest/gtest.h>

#include "project/project_file.h"
#include "support/result_matchers.h"

namespace sb::templates {
namespace {

std::string filled(std::string_view template_name, std::string_view path) {
  for (const TemplateFile& file : template_files()) {
    if (file.template_name == template_name && file.path == path) return fill(file.content, "hello-world");
  }
  return {};
}

TEST(Templates, have_the_same_basics) {
  std::set<std::string_view> names;
  for (const TemplateFile& file : template_files()) names.insert(file.template_name);
  EXPECT_EQ(names, (std::set<std::string_view>{"counter", "service", "tool"}));
  for (const std::string_view name : names) {
    for (const char* path :
         {"CMakeLists.txt", "CMakePresets.json", "README.md", "selfbuild.yaml", ".gitignore"}) {
      EXPECT_NE(filled(name, path), "") << name << "/" << path;
    }
  }
}

TEST(Templates, have_a_selfbuild_yaml_that_can_be_read) {
  ASSERT_OK(const auto service, project::parse_project_file(filled("service", "selfbuild.yaml"), "service"));
  EXPECT_EQ(service.name, "hello-world");
  EXPECT_EQ(service.build.outputs, std::vector<std::string>{"bin/hello-world"});
  ASSERT_EQ(service.services.size(), 1U);
  EXPECT_EQ(service.services[0].name, "hello-world");
  ASSERT_OK(const auto tool, project::parse_project_file(filled("tool", "selfbuild.yaml"), "tool"));
  EXPECT_EQ(tool.name, "hello-world");
  EXPECT_TRUE(tool.services.empty());
}

TEST(Templates, can_be_read_under_any_valid_name) {
  for (const char* name : {"a", "0", "1e3", "null", "true", "no", "x-y-z"}) {
    for (const TemplateFile& file : template_files()) {
      if (file.path != "selfbuild.yaml") continue;
      ASSERT_OK(const auto read, project::parse_project_file(fill(file.content, name), name));
      EXPECT_EQ(read.name, name);
    }
  }
}

TEST(Templates, leave_no_placeholder_behind) {
  for (const TemplateFile& file : template_files()) {
    EXPECT_EQ(fill(file.content, "x").find("@NAME@"), std::string::npos) << file.path;
    EXPECT_EQ(fill(file.path, "x").find('@'), std::string::npos) << file.path;
    EXPECT_FALSE(file.executable) << file.path;
  }
}

TEST(Templates, fill_every_place) {
  EXPECT_EQ(fill("@NAME@ and @NAME@, @NAM@", "x"), "x and x, @NAM@");
  EXPECT_EQ(fill("", "x"), "");
  EXPECT_EQ(fill("@NAME@", "@NAME@"), "@NAME@");
}

}  // namespace
}  // namespace sb::templates
