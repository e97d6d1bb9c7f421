// Where selfbuild looks for the project file.
#include <gtest/gtest.h>

#include "project/project_file.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::project {
namespace {

TEST(FindProject, takes_the_nearest_folder_at_or_above) {
  const auto folder = tests::temporary_folder();
  tests::write(folder.path() / "selfbuild.yaml", "");
  tests::write(folder.path() / "a/selfbuild.yaml", "");
  tests::write(folder.path() / "a/b/c/file", "");
  ASSERT_OK(const auto deep, find_project(folder.path() / "a/b/c"));
  EXPECT_EQ(deep, folder.path() / "a");
  ASSERT_OK(const auto here, find_project(folder.path() / "a"));
  EXPECT_EQ(here, folder.path() / "a");
}

TEST(FindProject, names_selfbuild_init_when_there_is_none) {
  const auto folder = tests::temporary_folder();
  const auto found = find_project(folder.path());
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().kind, ErrorKind::not_found);
  EXPECT_EQ(found.error().next, "selfbuild init");
  EXPECT_NE(found.error().what.find(folder.path().string()), std::string::npos) << found.error().what;
}

TEST(FindProject, ignores_a_folder_of_that_name) {
  const auto folder = tests::temporary_folder();
  tests::write(folder.path() / "selfbuild.yaml", "");
  tests::write(folder.path() / "a/selfbuild.yaml/file", "");
  ASSERT_OK(const auto found, find_project(folder.path() / "a"));
  EXPECT_EQ(found, folder.path());
}

}  // namespace
}  // namespace sb::project
