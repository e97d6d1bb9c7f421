// What a hostile build may leave among its outputs, and what is laid out again.
#include "update/version_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::update {
namespace {

namespace fs = std::filesystem;

class VersionFolder : public testing::Test {
 protected:
  VersionFolder() {
    tests::write(build_ / "bin/hello", "program");
    fs::permissions(build_ / "bin/hello", fs::perms::owner_all);
    tests::write(build_ / "share/a.txt", "a");
    tests::write(build_ / "share/deep/b.txt", "b");
  }

  history::Version version(std::vector<history::OutputFile> outputs, int number = 1) {
    history::Version result;
    result.project = "hello";
    result.number = number;
    result.outputs = std::move(outputs);
    return result;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  fs::path build_ = folder_.path() / "build";
  os::Home home_ = os::Home::at(folder_.path() / "home").value();
  os::RealFileSystem files_;
  artifacts::ObjectStore store_{home_.objects(), files_};
};

TEST_F(VersionFolder, holds_files_and_whole_folders_with_their_modes) {
  ASSERT_OK(const auto outputs, collect_outputs(store_, build_, {"bin/hello", "share"}));
  ASSERT_EQ(outputs.size(), 3U);
  ASSERT_OK(const fs::path laid_out, lay_out(home_, store_, version(outputs)));
  EXPECT_EQ(tests::read(laid_out / "bin/hello"), "program");
  EXPECT_EQ(tests::read(laid_out / "share/deep/b.txt"), "b");
  struct stat program{};
  struct stat text{};
  ASSERT_EQ(::stat((laid_out / "bin/hello").c_str(), &program), 0);
  ASSERT_EQ(::stat((laid_out / "share/a.txt").c_str(), &text), 0);
  EXPECT_EQ(program.st_mode & 0777U, 0755U);
  EXPECT_EQ(text.st_mode & 0777U, 0644U);
}

TEST_F(VersionFolder, a_missing_output_is_a_failed_build) {
  EXPECT_ERROR(ErrorKind::build_failed, collect_outputs(store_, build_, {"bin/other"}));
}

TEST_F(VersionFolder, a_symlink_among_the_outputs_is_refused) {
  tests::write(folder_.path() / "secret", "secret");
  fs::create_symlink(folder_.path() / "secret", build_ / "bin/link");
  EXPECT_ERROR(ErrorKind::refused, collect_outputs(store_, build_, {"bin/link"}));
  EXPECT_ERROR(ErrorKind::refused, collect_outputs(store_, build_, {"bin"}));
}

TEST_F(VersionFolder, an_output_behind_a_symlinked_folder_is_refused) {
  tests::write(folder_.path() / "elsewhere/hello", "x");
  fs::create_directory_symlink(folder_.path() / "elsewhere", build_ / "lib");
  EXPECT_ERROR(ErrorKind::refused, collect_outputs(store_, build_, {"lib/hello"}));
}

TEST_F(VersionFolder, a_fifo_among_the_outputs_is_refused_and_not_opened) {
  ASSERT_EQ(::mkfifo((build_ / "bin/pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::refused, collect_outputs(store_, build_, {"bin/pipe"}));
}

TEST_F(VersionFolder, that_was_damaged_is_replaced_from_the_store) {
  ASSERT_OK(const auto outputs, collect_outputs(store_, build_, {"bin/hello"}));
  ASSERT_OK(const fs::path first, lay_out(home_, store_, version(outputs)));
  tests::write(first / "bin/hello", "damaged");
  ASSERT_OK(const fs::path second, lay_out(home_, store_, version(outputs)));
  EXPECT_EQ(first, second);
  EXPECT_EQ(tests::read(second / "bin/hello"), "program");
}

TEST_F(VersionFolder, of_a_version_that_gc_emptied_says_so) {
  EXPECT_ERROR(ErrorKind::not_found, lay_out(home_, store_, version({})));
}

TEST_F(VersionFolder, digest_depends_on_path_mode_and_bytes_but_not_on_order) {
  ASSERT_OK(const auto outputs, collect_outputs(store_, build_, {"bin/hello", "share"}));
  const std::string digest = outputs_digest(outputs);
  EXPECT_EQ(outputs_digest({outputs.rbegin(), outputs.rend()}), digest);
  auto changed = outputs;
  changed[0].mode = 0644;
  EXPECT_NE(outputs_digest(changed), digest);
  changed = outputs;
  changed[0].sha256 = sha256_hex("other");
  EXPECT_NE(outputs_digest(changed), digest);
  changed = outputs;
  changed[0].path = "bin/other";
  EXPECT_NE(outputs_digest(changed), digest);
}

}  // namespace
}  // namespace sb::update
