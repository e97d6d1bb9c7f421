// The copy of a stage that a verification works in.
#include "build/second_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

struct stat look(const fs::path& path) {
  struct stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

void set_time(const fs::path& path, std::int64_t seconds, long nanoseconds) {
  const timespec time{.tv_sec = seconds, .tv_nsec = nanoseconds};
  const timespec times[] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

class SecondFolderTest : public testing::Test {
 protected:
  [[nodiscard]] fs::path from() const { return folder_.path() / "from"; }
  [[nodiscard]] fs::path to() const { return folder_.path() / "deep" / "to"; }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

TEST_F(SecondFolderTest, copies_names_bytes_links_and_times) {
  tests::write(from() / "a" / "b" / "file", std::string(300'000, 'x'));
  tests::write(from() / "empty", "");
  fs::create_directories(from() / "a" / "nothing");
  fs::create_symlink("../empty", from() / "a" / "link");
  fs::create_symlink("/no/such/file", from() / "dangling");
  for (const char* name : {"a/b/file", "empty", "a/link", "a/nothing", "a/b", "a"})
    set_time(from() / name, 946'684'800, 123'456'789);
  ASSERT_GOOD(copy_tree(from(), to()));

  int entries = 0;
  for (const auto& entry : fs::recursive_directory_iterator(from())) {
    ++entries;
    const fs::path name = entry.path().lexically_relative(from());
    const struct stat was = look(entry.path());
    const struct stat is = look(to() / name);
    EXPECT_EQ(is.st_mode & S_IFMT, was.st_mode & S_IFMT) << name;
    EXPECT_EQ(is.st_mtim.tv_sec, was.st_mtim.tv_sec) << name;
    EXPECT_EQ(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec) << name;
    if (S_ISREG(was.st_mode)) {
      EXPECT_EQ(tests::read(to() / name), tests::read(entry.path()));
    }
    if (S_ISLNK(was.st_mode)) {
      EXPECT_EQ(fs::read_symlink(to() / name), fs::read_symlink(entry.path()));
    }
  }
  EXPECT_EQ(entries, 7);
}

TEST_F(SecondFolderTest, shares_nothing_with_the_original) {
  tests::write(from() / "one", "bytes");
  fs::create_hard_link(from() / "one", from() / "two");
  fs::permissions(from() / "one", fs::perms(0444));
  ASSERT_GOOD(copy_tree(from(), to()));
  for (const char* name : {"one", "two"}) {
    EXPECT_EQ(look(to() / name).st_nlink, 1U) << name;
    tests::write(to() / name, "others");
  }
  EXPECT_EQ(tests::read(from() / "one"), "bytes");
}

TEST_F(SecondFolderTest, leaves_out_what_no_build_needs) {
  tests::write(from() / "file", "bytes");
  ASSERT_EQ(::mkfifo((from() / "pipe").c_str(), 0600), 0);
  ASSERT_GOOD(copy_tree(from(), to()));
  EXPECT_TRUE(fs::exists(to() / "file"));
  EXPECT_FALSE(fs::exists(to() / "pipe"));
}

TEST_F(SecondFolderTest, says_what_it_cannot_copy) {
  EXPECT_FALSE(copy_tree(from(), to()).has_value());
}

TEST_F(SecondFolderTest, is_one_for_each_and_gone_with_it) {
  fs::path first_path;
  {
    ASSERT_OK(const SecondFolder first, SecondFolder::make(folder_.path()));
    ASSERT_OK(const SecondFolder second, SecondFolder::make(folder_.path()));
    EXPECT_NE(first.path(), second.path());
    first_path = first.path();
    tests::write(first_path / "file", "bytes");
  }
  EXPECT_FALSE(fs::exists(first_path));
}

TEST_F(SecondFolderTest, begins_empty_where_a_killed_one_left_its_files) {
  fs::path path;
  {
    ASSERT_OK(const SecondFolder first, SecondFolder::make(folder_.path()));
    path = first.path();
  }
  tests::write(path / "left" / "over", "bytes");
  ASSERT_OK(const SecondFolder again, SecondFolder::make(folder_.path()));
  EXPECT_EQ(again.path(), path);
  EXPECT_TRUE(fs::is_empty(path));
}

}  // namespace
}  // namespace sb::build
