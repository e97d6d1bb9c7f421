#include "update/live.h"

#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::update {
namespace {

class Live : public testing::Test {
 protected:
  os::TemporaryFolder folder_ = tests::temporary_folder();
  os::Home home_ = os::Home::at(folder_.path()).value();
};

TEST_F(Live, is_nothing_before_the_first_promotion) {
  ASSERT_OK(const auto live, live_version(home_, "hello"));
  EXPECT_FALSE(live);
}

TEST_F(Live, is_what_the_pointer_names) {
  std::filesystem::create_directories(home_.project("hello"));
  std::filesystem::create_symlink("versions/v12", home_.pointer("hello"));
  ASSERT_OK(const auto live, live_version(home_, "hello"));
  EXPECT_EQ(live, 12);
}

TEST_F(Live, is_corrupt_when_the_pointer_names_no_version) {
  std::filesystem::create_directories(home_.project("hello"));
  std::filesystem::create_symlink("/etc", home_.pointer("hello"));
  EXPECT_ERROR(ErrorKind::corrupt, live_version(home_, "hello"));
}

}  // namespace
}  // namespace sb::update
