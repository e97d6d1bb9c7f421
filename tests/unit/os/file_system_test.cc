// What has to survive a power cut is synced in the right order; what is removed stays inside its tree.
#include "os/file_system.h"

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "support/files.h"
#include "support/result_matchers.h"

// fsync and rename of this program: recorded, and made to fail when a test asks for it.
namespace {
std::vector<std::string> calls;  // NOLINT(*-avoid-non-const-global-variables)
bool recording = false;          // NOLINT(*-avoid-non-const-global-variables)
int failing_fsync = 0;           // NOLINT(*-avoid-non-const-global-variables): the n-th from now; 0: none

std::string kind_of(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return "nothing";
  return S_ISDIR(info.st_mode) ? "folder" : "file";
}
}  // namespace

extern "C" int fsync(int fd) {
  if (recording) calls.push_back("fsync " + kind_of(fd));
  if (failing_fsync > 0) {
    failing_fsync -= 1;
    if (failing_fsync == 0) {
      errno = EIO;
      return -1;
    }
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc reserves its names
extern "C" int rename(const char* from, const char* to) noexcept {
  if (recording) calls.emplace_back("rename");
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace sb::os::tests {
namespace {

using sb::tests::read;
using sb::tests::temporary_folder;
using sb::tests::write;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

class Durable : public ::testing::Test {
 protected:
  void SetUp() override {
    calls.clear();
    recording = true;
  }
  void TearDown() override {
    recording = false;
    failing_fsync = 0;
  }
  TemporaryFolder folder_ = temporary_folder();
  RealFileSystem files_;
};

TEST_F(Durable, write_syncs_the_bytes_before_their_name_and_then_the_folder) {
  ASSERT_GOOD(files_.write_durably(folder_.path() / "a", "bytes", 0644));
  EXPECT_EQ(calls, (std::vector<std::string>{"fsync file", "rename", "fsync folder"}));
  EXPECT_EQ(read(folder_.path() / "a"), "bytes");
}

TEST_F(Durable, write_replaces_and_leaves_nothing_else) {
  write(folder_.path() / "a", "old and longer");
  ASSERT_GOOD(files_.write_durably(folder_.path() / "a", "new", 0644));
  EXPECT_EQ(read(folder_.path() / "a"), "new");
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"a"});
}

TEST_F(Durable, write_leaves_an_open_reader_its_old_bytes) {
  write(folder_.path() / "a", "old");
  const UniqueFd reader(::open((folder_.path() / "a").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_GOOD(files_.write_durably(folder_.path() / "a", "new", 0644));
  std::array<char, 8> text{};
  EXPECT_EQ(::read(reader.get(), text.data(), text.size()), 3);
  EXPECT_STREQ(text.data(), "old");
}

TEST_F(Durable, write_gives_the_asked_mode_whatever_the_umask) {
  const mode_t before = ::umask(0077);
  const Status written = files_.write_durably(folder_.path() / "a", "x", 0755);
  ::umask(before);
  ASSERT_GOOD(written);
  struct stat info{};
  ASSERT_EQ(::stat((folder_.path() / "a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0755U);
}

TEST_F(Durable, write_replaces_a_symlink_and_not_its_target) {
  write(folder_.path() / "target", "keep");
  fs::create_symlink("target", folder_.path() / "a");
  ASSERT_GOOD(files_.write_durably(folder_.path() / "a", "new", 0644));
  EXPECT_EQ(read(folder_.path() / "target"), "keep");
  EXPECT_FALSE(fs::is_symlink(folder_.path() / "a"));
}

TEST_F(Durable, write_keeps_the_old_bytes_when_they_cannot_be_synced) {
  write(folder_.path() / "a", "old");
  failing_fsync = 1;
  EXPECT_ERROR(ErrorKind::environment, files_.write_durably(folder_.path() / "a", "new", 0644));
  EXPECT_EQ(read(folder_.path() / "a"), "old");
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"a"});
}

TEST_F(Durable, write_says_so_when_the_folder_cannot_be_synced) {
  failing_fsync = 2;
  EXPECT_ERROR(ErrorKind::environment, files_.write_durably(folder_.path() / "a", "new", 0644));
}

TEST_F(Durable, write_fails_on_a_folder_in_the_way_and_cleans_up) {
  fs::create_directory(folder_.path() / "a");
  EXPECT_ERROR(ErrorKind::environment, files_.write_durably(folder_.path() / "a", "new", 0644));
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"a"});
  EXPECT_ERROR(ErrorKind::environment, files_.write_durably(folder_.path() / "missing" / "a", "new", 0644));
}

TEST_F(Durable, pointer_is_replaced_by_rename_then_synced) {
  ASSERT_GOOD(files_.point_durably(folder_.path() / "current", "versions/v1"));
  calls.clear();
  ASSERT_GOOD(files_.point_durably(folder_.path() / "current", "versions/v2"));
  EXPECT_EQ(calls, (std::vector<std::string>{"rename", "fsync folder"}));
  ASSERT_OK(const fs::path target, read_link(folder_.path() / "current"));
  EXPECT_EQ(target, "versions/v2");
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"current"});
}

TEST_F(Durable, rename_syncs_the_folder_it_moves_to) {
  write(folder_.path() / "a", "x");
  ASSERT_GOOD(files_.rename_durably(folder_.path() / "a", folder_.path() / "b"));
  EXPECT_EQ(calls, (std::vector<std::string>{"rename", "fsync folder"}));
  EXPECT_EQ(read(folder_.path() / "b"), "x");
  EXPECT_ERROR(ErrorKind::environment,
               files_.rename_durably(folder_.path() / "nothing", folder_.path() / "c"));
}

TEST(ReadFile, tells_missing_from_too_large) {
  const auto folder = temporary_folder();
  write(folder.path() / "a", "12345");
  EXPECT_ERROR(ErrorKind::not_found, read_file(folder.path() / "b"));
  EXPECT_ERROR(ErrorKind::refused, read_file(folder.path() / "a", 4));
  ASSERT_OK(const std::string text, read_file(folder.path() / "a", 5));
  EXPECT_EQ(text, "12345");
  EXPECT_ERROR(ErrorKind::environment, read_file(folder.path()));
}

TEST(ReadFile, reads_files_that_do_not_know_their_size) {
  ASSERT_OK(const std::string text, read_file("/proc/self/stat"));
  EXPECT_FALSE(text.empty());
}

TEST(ReadLink, tells_a_missing_link) {
  const auto folder = temporary_folder();
  EXPECT_ERROR(ErrorKind::not_found, read_link(folder.path() / "none"));
  write(folder.path() / "file", "");
  EXPECT_ERROR(ErrorKind::environment, read_link(folder.path() / "file"));
}

TEST(RemoveTree, never_follows_a_symlink) {
  const auto outside = temporary_folder();
  write(outside.path() / "precious", "keep");
  const auto folder = temporary_folder();
  write(folder.path() / "tree" / "deep" / "file", "x");
  fs::create_symlink(outside.path(), folder.path() / "tree" / "deep" / "link");
  fs::create_symlink(outside.path() / "precious", folder.path() / "tree" / "file-link");
  fs::create_symlink("nowhere", folder.path() / "tree" / "dangling");
  ASSERT_GOOD(remove_tree(folder.path() / "tree"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder.path() / "tree")));
  EXPECT_EQ(read(outside.path() / "precious"), "keep");
}

TEST(RemoveTree, of_a_symlink_removes_the_link) {
  const auto outside = temporary_folder();
  write(outside.path() / "precious", "keep");
  const auto folder = temporary_folder();
  fs::create_symlink(outside.path(), folder.path() / "link");
  ASSERT_GOOD(remove_tree(folder.path() / "link"));
  EXPECT_EQ(read(outside.path() / "precious"), "keep");
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(RemoveTree, removes_what_is_read_only_or_unreadable) {
  const auto folder = temporary_folder();
  write(folder.path() / "tree" / "a" / "b" / "file", "x");
  fs::create_symlink("/etc", folder.path() / "tree" / "a" / "link");
  ASSERT_EQ(::chmod((folder.path() / "tree/a/b").c_str(), 0500), 0);
  ASSERT_EQ(::chmod((folder.path() / "tree/a").c_str(), 0), 0);
  ASSERT_EQ(::chmod((folder.path() / "tree").c_str(), 0), 0);
  ASSERT_GOOD(remove_tree(folder.path() / "tree"));
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(RemoveTree, of_nothing_is_fine) {
  const auto folder = temporary_folder();
  EXPECT_TRUE(remove_tree(folder.path() / "nothing").has_value());
}

TEST(TemporaryFolderTest, goes_with_its_scope_and_moves_with_its_owner) {
  fs::path path;
  {
    TemporaryFolder kept = temporary_folder();
    TemporaryFolder moved = std::move(kept);
    path = moved.path();
    write(path / "x", "y");
    EXPECT_TRUE(fs::exists(path));
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077U, 0U) << "others may look into it";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(MakeFolders, is_fine_with_what_is_there_and_not_with_a_file) {
  const auto folder = temporary_folder();
  ASSERT_GOOD(make_folders(folder.path() / "a" / "b"));
  ASSERT_GOOD(make_folders(folder.path() / "a" / "b"));
  write(folder.path() / "file", "");
  EXPECT_ERROR(ErrorKind::environment, make_folders(folder.path() / "file" / "c"));
}

}  // namespace
}  // namespace sb::os::tests
