// Collecting objects that nobody refers to any more.
#include <ctime>

#include <fcntl.h>
#include <gmock/gmock.h>

#include "unit/artifacts/store_test.h"

namespace sb::artifacts {
namespace {

using ::testing::SizeIs;

class CollectTest : public StoreTest {
 protected:
  // Makes a file look as if it had been written two hours ago.
  static void age(const std::filesystem::path& path) {
    const std::time_t then = std::time(nullptr) - 2 * 3600;
    const timespec times[2] = {{.tv_sec = then, .tv_nsec = 0}, {.tv_sec = then, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0) << path;
  }
  static bool none(const ObjectId&) { return false; }
};

TEST_F(CollectTest, removes_old_objects_that_are_not_kept) {
  ASSERT_OK(const StoredFile kept, store_.put_bytes("kept"));
  ASSERT_OK(const StoredFile dropped, store_.put_bytes("dropped"));
  age(file_of(kept.id));
  age(file_of(dropped.id));
  ASSERT_OK(const auto collected, store_.collect([&](const ObjectId& id) { return id == kept.id; }));
  EXPECT_EQ(collected.objects, 1);
  EXPECT_EQ(collected.bytes, 7U);
  EXPECT_TRUE(store_.contains(kept.id));
  EXPECT_FALSE(store_.contains(dropped.id));
}

TEST_F(CollectTest, leaves_new_objects_to_the_writer_that_has_not_recorded_them_yet) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("new"));
  ASSERT_OK(const auto collected, store_.collect(none));
  EXPECT_EQ(collected.objects, 0);
  EXPECT_TRUE(store_.contains(stored.id));
}

TEST_F(CollectTest, object_that_is_stored_again_counts_as_new) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("again"));
  age(file_of(stored.id));
  ASSERT_GOOD(store_.put_bytes("again"));
  ASSERT_OK(const auto collected, store_.collect(none));
  EXPECT_EQ(collected.objects, 0);
  EXPECT_TRUE(store_.contains(stored.id));
}

TEST_F(CollectTest, removes_what_killed_writers_and_damage_left_behind) {
  ASSERT_OK(const StoredFile stored, store_.put_bytes("good"));
  tests::write(root_ / "incoming.Ab12Cd", "half a fi");
  tests::write(file_of(stored.id).string() + ".damaged", "goof");
  tests::write(root_ / "incoming.recent", "being written");
  age(root_ / "incoming.Ab12Cd");
  age(file_of(stored.id).string() + ".damaged");
  ASSERT_OK(const auto collected, store_.collect([](const ObjectId&) { return true; }));
  EXPECT_EQ(collected.objects, 2);
  EXPECT_THAT(files(), SizeIs(2));
  EXPECT_TRUE(store_.contains(stored.id));
}

TEST_F(CollectTest, leaves_files_alone_that_are_not_the_store_s) {
  ASSERT_GOOD(store_.put_bytes("x"));
  tests::write(root_ / "README", "of the user");
  tests::write(root_ / "ab" / "notes", "of the user");
  age(root_ / "README");
  age(root_ / "ab" / "notes");
  ASSERT_GOOD(store_.collect(none));
  EXPECT_EQ(tests::read(root_ / "README"), "of the user");
  EXPECT_EQ(tests::read(root_ / "ab" / "notes"), "of the user");
}

TEST_F(CollectTest, of_a_store_that_was_never_used_is_nothing) {
  ASSERT_OK(const auto collected, store_.collect(none));
  EXPECT_EQ(collected.objects, 0);
  EXPECT_FALSE(std::filesystem::exists(root_));
}

}  // namespace
}  // namespace sb::artifacts
