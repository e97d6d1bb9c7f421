#include "staging/tree_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::staging::tests {
namespace {

namespace fs = std::filesystem;

class TreeWriters : public testing::TestWithParam<TreeWriter::Resolve> {
 protected:
  TreeWriters() {
    fs::create_directory(tree_);
    sb::tests::write(outside_ / "file", "mine\n");
    sb::tests::write(outside_ / "sub" / "file", "mine\n");
  }
  Result<TreeWriter> open() const { return TreeWriter::open(tree_, GetParam()); }
  void expect_outside_untouched() const {
    EXPECT_EQ(sb::tests::read(outside_ / "file"), "mine\n");
    EXPECT_EQ(sb::tests::read(outside_ / "sub" / "file"), "mine\n");
    EXPECT_EQ(std::distance(fs::recursive_directory_iterator(outside_), fs::recursive_directory_iterator()),
              3);
  }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  fs::path tree_ = folder_.path() / "tree";
  fs::path outside_ = folder_.path() / "outside";
};

INSTANTIATE_TEST_SUITE_P(Each, TreeWriters,
                         testing::Values(TreeWriter::Resolve::detect, TreeWriter::Resolve::by_component),
                         [](const auto& mode) {
                           return mode.param == TreeWriter::Resolve::detect ? "openat2" : "by_component";
                         });

TEST_P(TreeWriters, write_whole_files_with_a_fixed_mode) {
  ASSERT_OK(TreeWriter writer, open());
  const mode_t umask = ::umask(077);
  ASSERT_GOOD(writer.write_file("a/b/plain", "text", false));
  ASSERT_GOOD(writer.write_file("a/b/program", "text", true));
  ::umask(umask);
  struct stat info{};
  ASSERT_EQ(::stat((tree_ / "a/b/plain").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode, 0100644U);
  ASSERT_EQ(::stat((tree_ / "a/b/program").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode, 0100755U);
  ASSERT_GOOD(writer.write_file("a/b/plain", "", false));
  EXPECT_EQ(fs::file_size(tree_ / "a/b/plain"), 0U);
  EXPECT_EQ(std::distance(fs::directory_iterator(tree_ / "a/b"), fs::directory_iterator()), 2)
      << "a temporary was left";
}

TEST_P(TreeWriters, replace_symlinks_in_the_way_instead_of_following_them) {
  ASSERT_OK(TreeWriter writer, open());
  fs::create_symlink(outside_ / "file", tree_ / "file");
  fs::create_symlink(outside_, tree_ / "folder");
  fs::create_symlink(outside_, tree_ / "above");
  fs::create_directory(tree_ / "real");
  fs::create_symlink("../../outside", tree_ / "real" / "up");
  ASSERT_GOOD(writer.write_file("file", "new", false));
  ASSERT_GOOD(writer.write_file("folder/file", "new", false));
  ASSERT_GOOD(writer.write_file("above/sub/file", "new", false));
  ASSERT_GOOD(writer.write_symlink("real/up/link", "target"));
  ASSERT_GOOD(writer.make_folder("real/up/sub"));
  EXPECT_FALSE(fs::is_symlink(tree_ / "file"));
  EXPECT_FALSE(fs::is_symlink(tree_ / "folder"));
  EXPECT_FALSE(fs::is_symlink(tree_ / "real" / "up"));
  EXPECT_EQ(sb::tests::read(tree_ / "folder" / "file"), "new");
  expect_outside_untouched();
}

TEST_P(TreeWriters, neither_read_nor_remove_through_a_symlink) {
  ASSERT_OK(TreeWriter writer, open());
  fs::create_symlink(outside_, tree_ / "folder");
  for (const char* path : {"folder/file", "folder/sub/file"}) {
    EXPECT_ERROR(ErrorKind::not_found, writer.read(path));
    ASSERT_GOOD(writer.remove(path));
  }
  ASSERT_GOOD(writer.remove("folder"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(tree_ / "folder")));
  expect_outside_untouched();
}

TEST_P(TreeWriters, put_files_where_folders_were_and_folders_where_files_were) {
  ASSERT_OK(TreeWriter writer, open());
  sb::tests::write(tree_ / "folder" / "below" / "x", "x");
  sb::tests::write(tree_ / "file", "x");
  ASSERT_GOOD(writer.write_file("folder", "now a file", false));
  ASSERT_GOOD(writer.write_file("file/below/x", "now below", false));
  EXPECT_EQ(sb::tests::read(tree_ / "folder"), "now a file");
  EXPECT_EQ(sb::tests::read(tree_ / "file" / "below" / "x"), "now below");
}

TEST_P(TreeWriters, remove_a_file_and_the_folders_that_it_leaves_empty) {
  ASSERT_OK(TreeWriter writer, open());
  sb::tests::write(tree_ / "a" / "b" / "c" / "x", "x");
  sb::tests::write(tree_ / "a" / "keep", "x");
  ASSERT_GOOD(writer.remove("a/b/c/x"));
  EXPECT_FALSE(fs::exists(tree_ / "a" / "b"));
  EXPECT_TRUE(fs::exists(tree_ / "a" / "keep"));
  ASSERT_GOOD(writer.remove("a/b/c/x"));
  ASSERT_GOOD(writer.remove("never/was"));
}

TEST_P(TreeWriters, remove_what_is_read_only_or_deeper_than_there_are_descriptors) {
  ASSERT_OK(TreeWriter writer, open());
  fs::path deep = tree_ / "deep";
  for (int i = 0; i < 300; ++i) deep /= "d";
  fs::create_directories(deep);
  sb::tests::write(tree_ / "locked" / "below" / "x", "x");
  fs::create_symlink(outside_, deep / "out");
  fs::permissions(tree_ / "locked" / "below", fs::perms::none);
  fs::permissions(tree_ / "locked", static_cast<fs::perms>(0555));
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit few{.rlim_cur = 128, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const Status removed = writer.remove("deep");
  const Status unlocked = writer.remove("locked");
  ::setrlimit(RLIMIT_NOFILE, &old);
  ASSERT_GOOD(removed);
  ASSERT_GOOD(unlocked);
  EXPECT_TRUE(fs::is_empty(tree_));
  expect_outside_untouched();
}

TEST_P(TreeWriters, do_not_wait_for_the_writer_of_a_fifo) {
  ASSERT_OK(TreeWriter writer, open());
  ASSERT_EQ(::mkfifo((tree_ / "fifo").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::not_found, writer.read("fifo"));
  ASSERT_GOOD(writer.write_file("fifo", "a file", false));
  EXPECT_EQ(sb::tests::read(tree_ / "fifo"), "a file");
}

TEST(TreeWriter, refuses_a_symlink_as_its_folder) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  fs::create_symlink("/", folder.path() / "root");
  EXPECT_ERROR(ErrorKind::environment, TreeWriter::open(folder.path() / "root"));
}

}  // namespace
}  // namespace sb::staging::tests
