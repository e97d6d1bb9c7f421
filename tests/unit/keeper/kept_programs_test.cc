// The conductor programs in the state folder.
#include "keeper/kept_programs.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "keeper/keeper.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::keeper {
namespace {

namespace fs = std::filesystem;

class KeptProgramsTest : public testing::Test {
 protected:
  // A program of these bytes, kept.
  fs::path keep(const std::string& bytes) {
    tests::write(folder_.path() / "program", bytes);
    Result<fs::path> kept = keep_program(home_, folder_.path() / "program");
    EXPECT_TRUE(kept.has_value());
    return kept.value_or(fs::path());
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  os::Home home_ = os::Home::at(folder_.path() / "home").value();
};

TEST_F(KeptProgramsTest, keeps_a_program_once_whatever_it_is_called) {
  const fs::path first = keep("one");
  EXPECT_EQ(keep("one"), first);
  EXPECT_NE(keep("two"), first);
  EXPECT_EQ(tests::read(first), "one");
  EXPECT_EQ(fs::status(first).permissions(), fs::perms::owner_all);
}

TEST_F(KeptProgramsTest, mends_a_copy_that_was_damaged) {
  const fs::path kept = keep("one");
  tests::write(kept, "");
  EXPECT_EQ(keep("one"), kept);
  EXPECT_EQ(tests::read(kept), "one");
}

TEST_F(KeptProgramsTest, names_what_is_current_and_previous_and_removes_what_is_neither) {
  const fs::path one = keep("one");
  const fs::path two = keep("two");
  const fs::path three = keep("three");
  ASSERT_GOOD(make_current(home_, two, one));
  EXPECT_EQ(kept_programs(home_).current, two);
  EXPECT_EQ(kept_programs(home_).previous, one);
  EXPECT_EQ(kept_programs(home_).rejected, "");
  EXPECT_TRUE(fs::exists(one));
  EXPECT_FALSE(fs::exists(three));
}

TEST_F(KeptProgramsTest, has_nothing_to_go_back_to_after_a_change_without_a_way_back) {
  const fs::path one = keep("one");
  const fs::path two = keep("two");
  ASSERT_GOOD(make_current(home_, one, two));
  ASSERT_GOOD(make_current(home_, two, ""));
  EXPECT_EQ(kept_programs(home_).previous, "");
  EXPECT_FALSE(fs::exists(one));
}

TEST_F(KeptProgramsTest, forgets_an_upgrade_when_another_program_is_installed) {
  const fs::path installed = folder_.path() / "installed";
  tests::write(installed, "edition 1");
  const fs::path kept = keep("upgraded");
  ASSERT_GOOD(make_current(home_, kept, ""));
  note_installed(home_, installed);  // the first start: nothing is known of an earlier one
  EXPECT_EQ(kept_programs(home_).current, kept);
  note_installed(home_, installed);
  EXPECT_EQ(kept_programs(home_).current, kept);
  tests::write(installed, "edition 2, which is longer");
  note_installed(home_, installed);
  EXPECT_EQ(kept_programs(home_).current, "");
}

}  // namespace
}  // namespace sb::keeper
