// The pool of build outputs: what is put in comes out as it was, or not at all.
#include "artifacts/output_pool.h"

#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::artifacts {
namespace {

namespace fs = std::filesystem;

class OutputPoolTest : public testing::Test {
 protected:
  [[nodiscard]] fs::path file(const std::string& name) const { return folder_.path() / name; }
  static struct stat state(const fs::path& path) {
    struct stat info{};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info;
  }
  PooledId put(const std::string& text, Sharing sharing = Sharing::copy) {
    tests::write(file("in"), text);
    const Result<PooledId> id = pool_.put(file("in"), sharing);
    EXPECT_TRUE(id.has_value());
    return id.value_or(PooledId{});
  }
  void damage(const PooledId& id, const std::string& bytes) {
    fs::permissions(pool_.path_of(id), fs::perms::owner_all);
    tests::write(pool_.path_of(id), bytes);
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  OutputPool pool_{folder_.path() / "pool"};
};

TEST_F(OutputPoolTest, gives_back_what_was_put_in_with_mode_and_time) {
  for (const Sharing sharing : {Sharing::copy, Sharing::link}) {
    const std::string text = sharing == Sharing::copy ? "copied" : "linked";
    const PooledId id = put(text, sharing);
    fs::remove(file("in"));
    ASSERT_GOOD(pool_.place(id, file("out-" + text), Sharing::copy, 0755, 12'345'678'901));
    EXPECT_EQ(tests::read(file("out-" + text)), text);
    const struct stat info = state(file("out-" + text));
    EXPECT_EQ(info.st_mode & 07777U, 0755U);
    EXPECT_EQ(info.st_mtim.tv_sec, 12);
    EXPECT_EQ(info.st_mtim.tv_nsec, 345'678'901);
    EXPECT_NE(info.st_ino, state(pool_.path_of(id)).st_ino);
  }
}

TEST_F(OutputPoolTest, a_link_is_another_name_of_the_object_that_nobody_may_write) {
  const PooledId id = put("shared", Sharing::link);
  EXPECT_EQ(state(file("in")).st_ino, state(pool_.path_of(id)).st_ino);
  EXPECT_EQ(state(file("in")).st_mode & 0222U, 0U);
  ASSERT_GOOD(pool_.place(id, file("out"), Sharing::link, 0644, 1));
  EXPECT_EQ(state(file("out")).st_ino, state(pool_.path_of(id)).st_ino);
}

TEST_F(OutputPoolTest, the_same_bytes_are_kept_once_and_leave_nothing_else_behind) {
  const PooledId id = put("twice");
  EXPECT_EQ(put("twice", Sharing::link), id);
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(pool_.root()))
    files += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(files, 1);
}

TEST_F(OutputPoolTest, an_empty_file_is_a_file) {
  const PooledId id = put("");
  ASSERT_GOOD(pool_.place(id, file("out"), Sharing::copy, 0644, 1));
  EXPECT_TRUE(fs::is_empty(file("out")));
  EXPECT_TRUE(pool_.verify(id));
}

TEST_F(OutputPoolTest, takes_regular_files_only) {
  EXPECT_FALSE(pool_.put(folder_.path(), Sharing::copy).has_value());
  EXPECT_ERROR(ErrorKind::not_found, pool_.put(file("nothing"), Sharing::copy));
}

TEST_F(OutputPoolTest, never_writes_over_what_is_there) {
  const PooledId id = put("new");
  tests::write(file("out"), "old");
  for (const Sharing sharing : {Sharing::copy, Sharing::link})
    EXPECT_FALSE(pool_.place(id, file("out"), sharing, 0644, 1).has_value());
  EXPECT_EQ(tests::read(file("out")), "old");
}

TEST_F(OutputPoolTest, sets_damage_aside_and_takes_the_bytes_again) {
  const std::string good = "the good bytes";
  for (const std::string bad : {"the good bytEs", "the good", "", "the good bytes and more"}) {
    for (const Sharing sharing : {Sharing::copy, Sharing::link}) {
      const PooledId id = put(good);
      damage(id, bad);
      EXPECT_ERROR(ErrorKind::corrupt, pool_.place(id, file("out"), sharing, 0644, 1));
      EXPECT_FALSE(fs::exists(file("out"))) << bad;
      EXPECT_FALSE(pool_.find(id).has_value());
      EXPECT_ERROR(ErrorKind::not_found, pool_.place(id, file("out"), sharing, 0644, 1));
      EXPECT_EQ(put(good), id);
      EXPECT_TRUE(pool_.verify(id)) << "put again after: " << bad;
      fs::remove(file("in"));
    }
    const PooledId id = put(good);
    damage(id, bad);
    EXPECT_FALSE(pool_.verify(id)) << bad;
    EXPECT_FALSE(pool_.find(id).has_value());
  }
}

TEST_F(OutputPoolTest, putting_good_bytes_mends_damage_of_the_same_size) {
  const PooledId id = put("good");
  damage(id, "evil");
  EXPECT_EQ(put("good"), id);
  EXPECT_TRUE(pool_.verify(id)) << "what a build made anew must not meet the old damage in the next";
}

TEST_F(OutputPoolTest, removing_is_fine_when_nothing_is_there) {
  const PooledId id = put("gone");
  ASSERT_GOOD(pool_.remove(id));
  ASSERT_GOOD(pool_.remove(id));
  EXPECT_FALSE(pool_.find(id).has_value());
}

}  // namespace
}  // namespace sb::artifacts
