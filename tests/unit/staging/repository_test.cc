#include "staging/repository.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <unistd.h>

#include "staging/repository_owner.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/staging/git_fixture.h"

namespace sb::staging::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Repository, resolves_what_git_rev_parse_resolves) {
  const GitFixture git;
  git.write("a", "1\n");
  const std::string first = git.commit("first line\n\nand a body\n");
  git.write("a", "2\n");
  git.commit("second");
  git.git({"tag", "--annotate", "--message", "a tag", "v1", first});
  for (const char* revision : {"HEAD", "main", "HEAD~1", "v1", "main@{0}", "HEAD^{/first}"}) {
    EXPECT_EQ(git.source(revision).commit, git.git({"rev-parse", std::string(revision) + "^{commit}"}))
        << revision;
  }
  const Source source = git.source(first.substr(0, 10));
  EXPECT_EQ(source.commit, first);
  EXPECT_EQ(source.tree, git.git({"rev-parse", first + "^{tree}"}));
  EXPECT_EQ(source.summary, "first line");
  EXPECT_EQ(source.author, "Ada Author <ada@example.org>");
}

TEST(Repository, is_found_from_a_folder_inside_and_from_a_linked_worktree) {
  const GitFixture git;
  git.write("deep/er/a", "1\n");
  git.commit("one");
  git.git({"worktree", "add", "--quiet", "--detach", (git.root() / "linked").string()});
  ASSERT_OK(const Repository inside, Repository::open(git.repo() / "deep" / "er"));
  EXPECT_TRUE(fs::equivalent(inside.root(), git.repo()));
  ASSERT_OK(const Repository linked, Repository::open(git.root() / "linked"));
  EXPECT_TRUE(fs::equivalent(linked.root(), git.root() / "linked"));
  EXPECT_TRUE(fs::equivalent(linked.git_dir(), git.repo() / ".git"));
}

TEST(Repository, names_the_nearest_branch_or_tag) {
  const GitFixture git;
  git.commit("one");
  git.git({"branch", "feature"});
  const auto result = git.open().resolve("featrue");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::not_found);
  EXPECT_EQ(result.error().what, "there is no revision 'featrue'; did you mean 'feature'?");
}

TEST(Repository, says_what_is_wrong_with_a_revision) {
  const GitFixture git;
  git.write("a", "1\n");
  git.commit("one");
  const Repository repository = git.open();
  EXPECT_ERROR(ErrorKind::usage, repository.resolve("HEAD:a"));
  EXPECT_ERROR(ErrorKind::usage, repository.resolve("HEAD^{"));
  EXPECT_ERROR(ErrorKind::usage, repository.resolve("main..HEAD"));
  EXPECT_ERROR(ErrorKind::usage, repository.resolve("a b"));
  for (const char* unknown : {"HEAD~5", "nothing~2", "abcdef0123", "refs/heads/x"}) {
    SCOPED_TRACE(unknown);
    EXPECT_ERROR(ErrorKind::not_found, repository.resolve(unknown));
  }
}

TEST(Repository, without_a_commit_says_so) {
  const GitFixture git;
  const auto result = git.open().resolve("HEAD");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::not_found);
  EXPECT_THAT(result.error().what, HasSubstr("has no commit yet"));
  EXPECT_THAT(result.error().next, HasSubstr("git commit"));
  ASSERT_OK(const std::string branch, git.open().head_branch());
  EXPECT_EQ(branch, "main");
}

TEST(Repository, that_is_shallow_says_how_to_get_the_rest) {
  const GitFixture git;
  git.commit("one");
  git.commit("two");
  const fs::path clone = git.root() / "clone";
  const Ran cloned =
      run({"git", "clone", "--quiet", "--depth=1", "file://" + git.repo().string(), clone.string()});
  ASSERT_EQ(cloned.exit_code, 0) << cloned.output;
  ASSERT_OK(const Repository repository, Repository::open(clone));
  ASSERT_GOOD(repository.resolve("HEAD"));
  const auto result = repository.resolve("HEAD~1");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::not_found);
  EXPECT_THAT(result.error().what, HasSubstr("shallow"));
  EXPECT_EQ(result.error().next, "git fetch --unshallow");
}

TEST(Repository, that_is_bare_or_none_is_refused_with_a_way_on) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  ASSERT_EQ(run({"git", "init", "--quiet", "--bare", (folder.path() / "bare.git").string()}).exit_code, 0);
  const auto bare = Repository::open(folder.path() / "bare.git");
  ASSERT_FALSE(bare.has_value());
  EXPECT_EQ(bare.error().kind, ErrorKind::usage);
  EXPECT_THAT(bare.error().what, HasSubstr("bare repository"));
  EXPECT_THAT(bare.error().next, HasSubstr("git clone"));
  fs::create_directory(folder.path() / "plain");
  EXPECT_ERROR(ErrorKind::not_found, Repository::open(folder.path() / "plain"));
  EXPECT_ERROR(ErrorKind::not_found, Repository::open(folder.path() / "missing"));
}

TEST(Repository, with_per_worktree_configuration_can_be_opened) {
  const GitFixture git;
  git.commit("one");
  git.git({"config", "core.repositoryformatversion", "1"});
  git.git({"config", "extensions.worktreeConfig", "true"});
  ASSERT_GOOD(Repository::open(git.repo()));
}

TEST(Repository, reads_blobs_as_they_are_stored) {
  const GitFixture git;
  git.write(".gitattributes", "* text eol=crlf\n");
  git.write("dir/a.txt", "one\ntwo\n");
  git.commit("one");
  const Repository repository = git.open();
  const std::string tree = git.source("HEAD").tree;
  ASSERT_OK(const std::string text, repository.read_blob(tree, "dir/a.txt"));
  EXPECT_EQ(text, "one\ntwo\n");
  EXPECT_ERROR(ErrorKind::not_found, repository.read_blob(tree, "dir/b.txt"));
  EXPECT_ERROR(ErrorKind::not_found, repository.read_blob(tree, "dir"));
}

TEST(Repository, knows_the_branch_until_head_is_detached) {
  const GitFixture git;
  git.commit("one");
  git.git({"switch", "--quiet", "--create", "feature/x"});
  ASSERT_OK(const std::string branch, git.open().head_branch());
  EXPECT_EQ(branch, "feature/x");
  git.git({"checkout", "--quiet", "--detach"});
  EXPECT_ERROR(ErrorKind::not_found, git.open().head_branch());
}

TEST(Repository, keeps_a_source_on_a_ref_until_it_is_forgotten) {
  const GitFixture git;
  git.commit("one");
  Repository repository = git.open();
  const Source source = git.source("HEAD");
  ASSERT_GOOD(repository.keep(source, 5));
  ASSERT_GOOD(repository.keep(source, 5));
  EXPECT_EQ(git.git({"rev-parse", "refs/selfbuild/cycles/c-5"}), source.commit);
  EXPECT_EQ(git.git({"branch", "--all", "--format=%(refname)"}), "refs/heads/main");
  ASSERT_GOOD(repository.forget(5));
  ASSERT_GOOD(repository.forget(5));
  EXPECT_EQ(git.git({"for-each-ref", "refs/selfbuild"}), "");
}

class SafeDirectory : public testing::Test {
 protected:
  SafeDirectory() {
    ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    ::setenv("GIT_CONFIG_GLOBAL", config_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("GIT_CONFIG_NOSYSTEM");
    ::unsetenv("GIT_CONFIG_GLOBAL");
  }
  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  fs::path config_ = folder_.path() / "gitconfig";
};

TEST_F(SafeDirectory, is_read_from_the_users_configuration_as_git_reads_it) {
  EXPECT_FALSE(is_declared_safe("/a/b"));
  sb::tests::write(config_, "[safe]\n\tdirectory = /a/b/\n");
  EXPECT_TRUE(is_declared_safe("/a/b"));
  EXPECT_FALSE(is_declared_safe("/a"));
  sb::tests::write(config_, "[safe]\n\tdirectory = *\n");
  EXPECT_TRUE(is_declared_safe("/a"));
  sb::tests::write(config_, "[safe]\n\tdirectory = *\n\tdirectory = \"\"\n\tdirectory = /x\n");
  EXPECT_FALSE(is_declared_safe("/a"));
}

TEST_F(SafeDirectory, decides_whether_a_repository_of_another_user_is_opened) {
  const GitFixture git;
  git.commit("one");
  if (::geteuid() != 0) {
    // Only root can give a folder away: an ordinary user's own repository needs no declaration.
    ASSERT_GOOD(Repository::open(git.repo()));
    return;
  }
  for (const auto& entry : fs::recursive_directory_iterator(git.repo()))
    ASSERT_EQ(::lchown(entry.path().c_str(), 1000, 1000), 0);
  ASSERT_EQ(::chown(git.repo().c_str(), 1000, 1000), 0);
  const auto refused = Repository::open(git.repo());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::environment);
  EXPECT_THAT(refused.error().what, HasSubstr("belongs to uid 1000 and this is uid 0"));
  EXPECT_EQ(refused.error().next, "git config --global --add safe.directory " + git.repo().string());
  sb::tests::write(config_, "[safe]\n\tdirectory = " + git.repo().string() + "\n");
  ASSERT_OK(const Repository repository, Repository::open(git.repo()));
  ASSERT_GOOD(repository.resolve("HEAD"));
}

}  // namespace
}  // namespace sb::staging::tests
