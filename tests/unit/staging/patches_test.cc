// Patches that apply: git itself says what should come out of them. And patches that do not, with the words
// they get.
#include <gmock/gmock.h>

#include "staging/mail_headers.h"
#include "staging/repository.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/staging/git_fixture.h"
#include "unit/staging/patch_text.h"

namespace sb::staging::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string numbered(int from, int to) {
  std::string text;
  for (int i = from; i <= to; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

class Patches : public testing::Test {
 protected:
  Patches() {
    git_.write("long.txt", numbered(1, 60));
    git_.write("tail.txt", "no newline");
    git_.write("with blank.txt", numbered(1, 20));
    git_.write("run.sh", "#!/bin/sh\n");
    git_.write("gone.txt", "gone\n");
    git_.write("a.txt", numbered(100, 130));
    git_.write("b.txt", numbered(200, 230));
    git_.write("empty.txt", "");
    git_.write("data.bin", std::string(3000, 'x') + std::string("\0\1", 2));
    fs::create_symlink("a.txt", git_.repo() / "link");
    base_ = git_.commit("base");
  }

  // Commits what a test did to the work tree, and returns that commit as a patch.
  std::string patch_of_changes(const std::vector<std::string>& options = {}) {
    git_.commit("Improve things\n\nBecause they were bad.\n");
    std::vector<std::string> arguments{"format-patch", "--stdout", "--binary", "--full-index",
                                       base_ + "..HEAD"};
    arguments.insert(arguments.begin() + 1, options.begin(), options.end());
    return git_.git(arguments) + "\n";
  }

  void expect_same_tree_as_git(const std::string& patch) {
    Repository repository = git_.open();
    ASSERT_OK(const Source base, repository.resolve(base_));
    ASSERT_OK(const Source result, repository.apply_patch(base, patch, 1));
    EXPECT_EQ(result.tree, git_.git({"rev-parse", "HEAD^{tree}"})) << patch;
  }

  Error error_of(const std::string& patch) {
    Repository repository = git_.open();
    const auto base = repository.resolve(base_);
    auto result = repository.apply_patch(*base, patch, 1);
    EXPECT_FALSE(result.has_value());
    return result ? Error{} : result.error();
  }

  GitFixture git_;
  std::string base_;
};

TEST_F(Patches, of_text_modes_and_symlinks_give_the_tree_that_git_has) {
  git_.write("long.txt", numbered(1, 3) + "new\n" + numbered(4, 30) + numbered(35, 60) + "end\n");
  git_.write("tail.txt", "still no newline");
  git_.write("with blank.txt", numbered(2, 20));
  git_.write("new/deep/file.txt", "fresh\n");
  git_.write("new/empty.txt", "");
  git_.write("umlaut-\u00fc.txt", "u\n");
  fs::remove(git_.repo() / "gone.txt");
  fs::remove(git_.repo() / "empty.txt");
  fs::permissions(git_.repo() / "run.sh", fs::perms::owner_all);
  fs::remove(git_.repo() / "link");
  fs::create_symlink("b.txt", git_.repo() / "link");
  fs::create_symlink("../long.txt", git_.repo() / "new" / "up");
  expect_same_tree_as_git(patch_of_changes());
}

TEST_F(Patches, of_binary_files_as_literal_and_as_delta_give_the_tree_that_git_has) {
  std::string noise;
  for (unsigned i = 0, x = 1; i < 70'000; ++i, x = x * 1664525 + 1013904223)
    noise.push_back(static_cast<char>(x >> 24U));
  git_.write("new.bin", noise + '\0');
  git_.write("data.bin", std::string(3000, 'x') + std::string("\0\1\2\3", 4));
  const std::string patch = patch_of_changes();
  EXPECT_THAT(patch, HasSubstr("\ndelta "));
  EXPECT_THAT(patch, HasSubstr("\nliteral "));
  expect_same_tree_as_git(patch);
}

TEST_F(Patches, with_renames_copies_and_a_swap_give_the_tree_that_git_has) {
  fs::rename(git_.repo() / "a.txt", git_.repo() / "c.txt");
  fs::rename(git_.repo() / "b.txt", git_.repo() / "a.txt");
  fs::rename(git_.repo() / "c.txt", git_.repo() / "b.txt");
  fs::rename(git_.repo() / "with blank.txt", git_.repo() / "with more blanks.txt");
  git_.write("copy.txt", numbered(1, 60) + "and more\n");
  const std::string patch = patch_of_changes({"-M", "-C", "-B", "--find-copies-harder"});
  EXPECT_THAT(patch, HasSubstr("rename from with blank.txt"));
  EXPECT_THAT(patch, HasSubstr("copy to copy.txt"));
  expect_same_tree_as_git(patch);
}

TEST_F(Patches, that_turn_a_file_into_a_symlink_and_back_give_the_tree_that_git_has) {
  fs::remove(git_.repo() / "gone.txt");
  fs::create_symlink("a.txt", git_.repo() / "gone.txt");
  fs::remove(git_.repo() / "link");
  git_.write("link", "a file now\n");
  expect_same_tree_as_git(patch_of_changes());
}

TEST_F(Patches, of_several_mails_become_one_commit_each_with_author_date_and_message) {
  git_.write("long.txt", numbered(2, 60));
  git_.git({"add", "--all"});
  const std::string subject =
      "[net] First of two, with a subject that is so long that git has to fold it over two lines";
  const std::string message = subject + "\n\nWhy: reasons.\n\n- a list\n";
  git_.git({"commit", "--quiet", "--author", "Bea \"B\" Builder <bea@example.org>", "--date",
            "1690000000 -0330", "--message", message});
  git_.write("long.txt", numbered(3, 60));
  const std::string patch = patch_of_changes();
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve(base_));
  ASSERT_OK(const Source result, repository.apply_patch(base, patch, 12));
  EXPECT_EQ(result.tree, git_.git({"rev-parse", "HEAD^{tree}"}));
  EXPECT_EQ(result.summary, "Improve things");
  EXPECT_EQ(result.author, "Ada Author <ada@example.org>");
  const std::string ref = "refs/selfbuild/cycles/c-12";
  EXPECT_EQ(git_.git({"rev-parse", ref}), result.commit);
  EXPECT_EQ(git_.git({"rev-parse", ref + "~2"}), base_);
  for (const char* format : {"--format=%B", "--format=%an <%ae> %ad"}) {
    EXPECT_EQ(git_.git({"log", "--max-count=2", format, ref}),
              git_.git({"log", "--max-count=2", format, "HEAD"}));
  }
  EXPECT_EQ(git_.git({"fsck", "--strict"}), "");
}

TEST_F(Patches, give_the_same_commit_every_time) {
  git_.write("long.txt", numbered(2, 60));
  const std::string patch = patch_of_changes();
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve(base_));
  ASSERT_OK(const Source first, repository.apply_patch(base, patch, 1));
  ASSERT_OK(const Source second, repository.apply_patch(base, patch, 2));
  EXPECT_EQ(first.commit, second.commit);
}

TEST_F(Patches, without_a_mail_are_committed_in_our_name) {
  git_.write("long.txt", numbered(2, 60));
  git_.write("extra.txt", "x\n");
  git_.commit("x");
  const std::string patch = git_.git({"diff", base_, "HEAD"}) + "\n";
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve(base_));
  ASSERT_OK(const Source result, repository.apply_patch(base, patch, 1));
  EXPECT_EQ(result.author, "selfbuild <selfbuild@localhost>");
  EXPECT_EQ(result.tree, git_.git({"rev-parse", "HEAD^{tree}"}));
}

TEST_F(Patches, as_diff_writes_them_add_change_and_remove_files) {
  git_.write("tail.txt", "a newline\n");
  git_.write("extra.txt", "x\n");
  fs::remove(git_.repo() / "gone.txt");
  git_.commit("x");
  expect_same_tree_as_git(
      "diff -ruN old/tail.txt new/tail.txt\n--- old/tail.txt\t2026-01-01 10:00:00 +0000\n+++ "
      "new/tail.txt\t2026-01-01\n"
      "@@ -1 +1 @@\n-no newline\n\\ No newline at end of file\n+a newline\n"
      "--- old/extra.txt\t1970-01-01\n+++ new/extra.txt\t2026-01-01\n@@ -0,0 +1 @@\n+x\n"
      "--- old/gone.txt\t2026-01-01\n+++ new/gone.txt\t1970-01-01\n@@ -1 +0,0 @@\n-gone\n");
}

TEST_F(Patches, apply_where_their_lines_have_moved_to) {
  git_.write("long.txt", numbered(1, 40) + "new\n" + numbered(41, 60));
  const std::string patch = patch_of_changes();
  git_.git({"checkout", "--quiet", "-B", "moved", base_});
  git_.write("long.txt", "top\ntop\ntop\n" + numbered(1, 60));
  base_ = git_.commit("moved");
  git_.write("long.txt", "top\ntop\ntop\n" + numbered(1, 40) + "new\n" + numbered(41, 60));
  git_.commit("expected");
  expect_same_tree_as_git(patch);
}

TEST_F(Patches, apply_at_the_ends_of_a_file_only_when_they_were_made_there) {
  const std::string top =
      diff_header("long.txt", "long.txt") +
      "--- a/long.txt\n+++ b/long.txt\n@@ -1,3 +1,4 @@\n+new\n line 20\n line 21\n line 22\n";
  const std::string end =
      diff_header("long.txt", "long.txt") +
      "--- a/long.txt\n+++ b/long.txt\n@@ -20,3 +20,4 @@\n line 20\n line 21\n line 22\n+new\n";
  for (const std::string& patch : {top, end}) {
    sb::tests::write(git_.root() / "patch", patch);
    const std::string file = (git_.root() / "patch").string();
    EXPECT_NE(run({"git", "-C", git_.repo().string(), "apply", "--check", file}).exit_code, 0)
        << "git takes it";
    EXPECT_EQ(error_of(patch).kind, ErrorKind::conflict);
  }
}

TEST_F(Patches, that_do_not_apply_name_the_file_the_hunk_and_both_lines) {
  git_.write("long.txt", "new\n" + numbered(1, 50) + "fifty\n" + numbered(51, 60));
  const std::string patch = patch_of_changes();
  git_.git({"checkout", "--quiet", "-B", "other", base_});
  git_.write("long.txt", numbered(1, 49) + "changed\n" + numbered(51, 60));
  base_ = git_.commit("other");
  const Error error = error_of(patch);
  EXPECT_EQ(error.kind, ErrorKind::conflict) << format_error(error);
  EXPECT_EQ(error.what, "the patch does not apply: long.txt, hunk 2 (@@ -48,6 +49,7 @@)");
  EXPECT_EQ(error.expected, "line 50: line 50");
  EXPECT_EQ(error.found, "line 50: changed");
}

TEST_F(Patches, of_files_that_are_missing_or_already_there_are_conflicts) {
  const Error missing = error_of(remove("nowhere.txt", "x"));
  EXPECT_EQ(missing.kind, ErrorKind::conflict);
  EXPECT_EQ(missing.what, "the patch does not apply: nowhere.txt does not exist");
  const Error there = error_of(add("gone.txt", "x"));
  EXPECT_EQ(there.kind, ErrorKind::conflict);
  EXPECT_EQ(there.what, "the patch does not apply: gone.txt already exists");
  const Error more =
      error_of(diff_header("long.txt", "long.txt") +
               "deleted file mode 100644\n--- a/long.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-line 1\n");
  EXPECT_EQ(more.kind, ErrorKind::conflict);
  EXPECT_EQ(more.what, "the patch does not apply: long.txt has more lines than the patch deletes");
}

TEST(MailDates, are_read_with_their_zone) {
  const auto date = parse_mail_date("Mon, 2 Nov 2026 10:00:00 +0100");
  ASSERT_TRUE(date.has_value());
  EXPECT_EQ(date->unix_time, 1793610000);
  EXPECT_EQ(date->minutes_east, 60);
  const auto west = parse_mail_date("30 Sep 2026 23:59:59 -0330");
  ASSERT_TRUE(west.has_value());
  EXPECT_EQ(west->minutes_east, -210);
  EXPECT_FALSE(parse_mail_date("yesterday").has_value());
  EXPECT_FALSE(parse_mail_date("Mon, 31 Feb 2026 10:00:00 +0000").has_value());
}

}  // namespace
}  // namespace sb::staging::tests
