#include "staging/stage_pool.h"

#include <chrono>

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file_system.h"
#include "staging/slot_state.h"
#include "staging/tree_listing.h"
#include "staging/worktree_files.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/staging/git_fixture.h"
#include "unit/staging/patch_text.h"

namespace sb::staging::tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StagePools : public testing::Test {
 protected:
  StagePools() {
    git_.write("README", "one\n");
    git_.write("src/a.cc", "int a;\n");
    git_.write("src/b.cc", "int b;\n");
    git_.write("run.sh", "#!/bin/sh\n");
    fs::permissions(git_.repo() / "run.sh", fs::perms::owner_all);
    fs::create_symlink("src/a.cc", git_.repo() / "link");
    first_ = git_.commit("first");
    git_.write("src/a.cc", "int a = 2;\n");
    git_.write("src/new/c.cc", "int c;\n");
    fs::remove(git_.repo() / "src" / "b.cc");
    second_ = git_.commit("second");
  }

  // What git itself checks out for a commit.
  std::map<std::string, std::string> expected(const std::string& commit) const {
    const fs::path folder = git_.root() / ("expected-" + commit);
    if (!fs::exists(folder)) git_.git({"worktree", "add", "--quiet", "--detach", folder.string(), commit});
    for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
      // The umask of whoever runs the test does not count in a stage.
      if (it->is_symlink()) continue;
      const bool executable = (it->status().permissions() & fs::perms::owner_exec) != fs::perms::none;
      fs::permissions(it->path(), static_cast<fs::perms>(executable ? 0755 : 0644));
    }
    return contents(folder);
  }

  Result<Stage> acquire(const std::string& commit, int slots = 1) {
    Repository repository = git_.open();
    auto source = repository.resolve(commit);
    if (!source) return fail(source.error());
    return StagePool(stages(), slots).acquire(repository, *source);
  }

  fs::path stages() const { return git_.root() / "stages"; }
  fs::path slot(int number = 0) const { return stages() / ("slot-" + std::to_string(number)); }

  // Inodes tell which files a move wrote anew; their times are the same in all stages.
  static std::map<std::string, ino_t> inodes(const fs::path& tree) {
    std::map<std::string, ino_t> found;
    for (const auto& entry : fs::recursive_directory_iterator(tree)) {
      if (entry.is_regular_file() && !entry.is_symlink()) {
        struct stat info{};
        EXPECT_EQ(::stat(entry.path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mtim.tv_sec, os::kSourceTimeNs / 1'000'000'000) << entry.path();
        found.emplace(entry.path().lexically_relative(tree).string(), info.st_ino);
      }
    }
    return found;
  }

  std::string git_in(const fs::path& tree, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"git", "-C", tree.string()});
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    return ran.output;
  }

  GitFixture git_;
  std::string first_;
  std::string second_;
};

TEST_F(StagePools, fill_a_new_slot_with_what_git_would_check_out) {
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(stage.tree()), expected(first_));
  EXPECT_EQ(stage.tree(), slot() / "tree");
  EXPECT_TRUE(fs::is_directory(stage.build()));
  EXPECT_EQ(stage.moved().written, 5);
  EXPECT_EQ(stage.moved().removed, 0);
  EXPECT_FALSE(stage.moved().recovered);
  EXPECT_THAT(stage.moved().notes, IsEmpty());
}

TEST_F(StagePools, make_a_slot_a_locked_detached_worktree_in_which_git_status_is_clean) {
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(git_in(stage.tree(), {"status", "--porcelain"}), "");
  EXPECT_EQ(git_in(stage.tree(), {"rev-parse", "HEAD"}), first_ + "\n");
  const std::string list = git_.git({"worktree", "list", "--porcelain"});
  EXPECT_THAT(list,
              HasSubstr("worktree " + stage.tree().string() + "\nHEAD " + first_ + "\ndetached\nlocked "));
  git_.git({"worktree", "prune"});
  EXPECT_EQ(git_in(stage.tree(), {"rev-parse", "HEAD"}), first_ + "\n");
  git_.git({"gc", "--quiet", "--prune=now"});
  EXPECT_EQ(git_.git({"fsck"}), "");
}

TEST_F(StagePools, move_a_slot_by_touching_only_files_that_differ) {
  std::map<std::string, ino_t> before;
  {
    ASSERT_OK(const Stage stage, acquire(first_));
    sb::tests::write(stage.build() / "kept.o", "object");
    before = inodes(stage.tree());
  }
  ASSERT_OK(const Stage stage, acquire(second_));
  EXPECT_EQ(contents(stage.tree()), expected(second_));
  EXPECT_EQ(stage.moved().written, 2);  // src/a.cc and src/new/c.cc
  EXPECT_EQ(stage.moved().removed, 1);  // src/b.cc
  EXPECT_FALSE(stage.moved().recovered);
  const auto after = inodes(stage.tree());
  EXPECT_EQ(after.at("README"), before.at("README"));
  EXPECT_EQ(after.at("run.sh"), before.at("run.sh"));
  EXPECT_NE(after.at("src/a.cc"), before.at("src/a.cc"));
  EXPECT_EQ(sb::tests::read(stage.build() / "kept.o"), "object");
  EXPECT_EQ(git_in(stage.tree(), {"status", "--porcelain"}), "");
}

TEST_F(StagePools, come_back_to_a_commit_and_remove_folders_that_became_empty) {
  {
    ASSERT_OK(const Stage stage, acquire(second_));
  }
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(stage.tree()), expected(first_));
  EXPECT_FALSE(fs::exists(stage.tree() / "src" / "new"));
}

TEST_F(StagePools, touch_nothing_when_the_slot_is_already_there) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  struct stat before{};
  struct stat after{};
  ASSERT_EQ(::stat((slot() / "state").c_str(), &before), 0);
  ASSERT_OK(const Stage stage, acquire(first_));
  ASSERT_EQ(::stat((slot() / "state").c_str(), &after), 0);
  EXPECT_EQ(stage.moved().written + stage.moved().removed, 0);
  EXPECT_FALSE(stage.moved().recovered);
  EXPECT_EQ(before.st_ino, after.st_ino) << "the state was written again although nothing moved";
}

TEST_F(StagePools, change_types_of_paths_between_file_folder_and_symlink) {
  fs::remove_all(git_.repo() / "src");
  git_.write("src", "a file now\n");
  fs::remove(git_.repo() / "README");
  git_.write("README/inside", "a folder now\n");
  fs::remove(git_.repo() / "link");
  git_.write("link", "a file now\n");
  fs::remove(git_.repo() / "run.sh");
  fs::create_symlink("README", git_.repo() / "run.sh");
  const std::string third = git_.commit("third");
  for (const std::string& commit : {first_, third, second_, third, first_}) {
    ASSERT_OK(const Stage stage, acquire(commit));
    EXPECT_EQ(contents(stage.tree()), expected(commit));
    EXPECT_FALSE(stage.moved().recovered);
  }
}

TEST_F(StagePools, stage_a_patched_commit) {
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve(first_));
  ASSERT_OK(const Source patched, repository.apply_patch(base, add("extra/d.cc", "int d;"), 3));
  StagePool pool(stages(), 1);
  ASSERT_OK(const Stage stage, pool.acquire(repository, patched));
  EXPECT_EQ(sb::tests::read(stage.tree() / "extra" / "d.cc"), "int d;\n");
  EXPECT_EQ(sb::tests::read(stage.tree() / "src" / "b.cc"), "int b;\n");
}

TEST_F(StagePools, repair_files_that_somebody_changed_and_remove_strangers) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  const fs::path tree = slot() / "tree";
  sb::tests::write(tree / "README", "ONE\n");  // the same size
  sb::tests::write(tree / "src" / "a.cc", "int a; // longer\n");
  fs::remove(tree / "src" / "b.cc");
  fs::permissions(tree / "run.sh", static_cast<fs::perms>(0644));
  sb::tests::write(tree / "src" / "stranger.cc", "x");
  sb::tests::write(tree / "strange" / "folder" / "x", "x");
  fs::create_directory(tree / "empty");
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(tree), expected(first_));
  EXPECT_TRUE(stage.moved().recovered);
  EXPECT_EQ(stage.moved().written, 4);
  EXPECT_EQ(stage.moved().removed, 3);
  EXPECT_EQ(git_in(tree, {"status", "--porcelain"}), "");
}

TEST_F(StagePools, see_a_change_that_keeps_size_and_modification_time) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  const fs::path readme = slot() / "tree" / "README";
  const auto time = fs::last_write_time(readme);
  sb::tests::write(readme, "ONE\n");
  fs::last_write_time(readme, time);
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(sb::tests::read(readme), "one\n");
  EXPECT_TRUE(stage.moved().recovered);
}

TEST_F(StagePools, keep_the_time_of_a_file_that_was_only_touched) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  const fs::path readme = slot() / "tree" / "README";
  const auto long_ago = fs::last_write_time(readme) - std::chrono::hours(1);
  fs::last_write_time(readme, long_ago);
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(stage.moved().written, 0);
  EXPECT_FALSE(stage.moved().recovered);
  EXPECT_EQ(fs::last_write_time(readme), long_ago);
}

TEST_F(StagePools, take_back_the_permissions_that_a_build_took_away) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  for (const char* folder : {"tree/src", "tree", "build"}) fs::permissions(slot() / folder, fs::perms::none);
  ASSERT_OK(const Stage stage, acquire(second_));
  EXPECT_EQ(contents(stage.tree()), expected(second_));
  for (const char* folder : {"tree/src", "tree", "build"}) {
    EXPECT_EQ(fs::status(slot() / folder).permissions() & fs::perms::owner_all, fs::perms::owner_all)
        << folder;
  }
}

TEST_F(StagePools, repair_a_slot_whose_move_did_not_finish) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  const fs::path tree = slot() / "tree";
  const auto time = fs::last_write_time(tree / "run.sh");
  // Half of the way to the second commit: some files there, some garbled, the index still the old one.
  ASSERT_GOOD(write_slot_state(slot(), {.kind = SlotState::Kind::moving,
                                        .tree = git_.source(second_).tree,
                                        .repository = (git_.repo() / ".git").string()}));
  sb::tests::write(tree / "src" / "a.cc", "int a = 2;\n");
  sb::tests::write(tree / "src" / "new" / "c.cc", "");
  sb::tests::write(tree / "README", std::string(4, '\0'));
  sb::tests::write(tree / "src" / ".selfbuild-1-1", "a temporary");
  ASSERT_OK(const Stage stage, acquire(second_));
  EXPECT_EQ(contents(tree), expected(second_));
  EXPECT_TRUE(stage.moved().recovered);
  EXPECT_EQ(fs::last_write_time(tree / "run.sh"), time) << "it was right all the time";
  EXPECT_EQ(read_slot_state(slot()).kind, SlotState::Kind::holds);
  EXPECT_EQ(read_slot_state(slot()).tree, git_.source(second_).tree);
}

TEST_F(StagePools, believe_no_index_after_a_move_that_did_not_finish) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  // As after a power cut: the index and the file's times came to the disk, the file's bytes did not.
  sb::tests::write(slot() / "tree" / "README", "ONE\n");
  const Repository repository = git_.open();
  ASSERT_OK(const TreeListing listing, list_tree(repository.handle(), git_.source(first_).tree));
  std::map<std::string, struct stat> states;
  for (const auto& [path, entry] : listing) {
    ASSERT_EQ(::lstat((slot() / "tree" / path).c_str(), &states[path]), 0);
  }
  const WorktreeFiles worktree(repository.git_dir(), slot());
  ASSERT_GOOD(worktree.write_index(listing, states));
  // Old enough not to be suspected for its age alone.
  fs::last_write_time(worktree.folder() / "index",
                      fs::file_time_type::clock::now() + std::chrono::seconds(10));
  SlotState state = read_slot_state(slot());
  state.kind = SlotState::Kind::moving;
  ASSERT_GOOD(write_slot_state(slot(), state));
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(stage.tree()), expected(first_));
  EXPECT_EQ(stage.moved().written, 1);
}

TEST_F(StagePools, repair_a_slot_whose_state_or_index_or_git_link_is_damaged) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  std::string index;
  for (const auto& entry : fs::directory_iterator(git_.repo() / ".git" / "worktrees"))
    index = entry.path() / "index";
  for (const fs::path& damaged : {slot() / "state", fs::path(index), slot() / "tree" / ".git"}) {
    SCOPED_TRACE(damaged);
    sb::tests::write(damaged, "garbage");
    sb::tests::write(slot() / "tree" / "README", "ONE\n");
    ASSERT_OK(const Stage stage, acquire(first_));
    EXPECT_EQ(contents(stage.tree()), expected(first_));
    EXPECT_EQ(git_in(stage.tree(), {"status", "--porcelain"}), "");
    EXPECT_TRUE(stage.moved().recovered);
  }
}

TEST_F(StagePools, never_follow_a_symlink_that_a_build_planted) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  const fs::path tree = slot() / "tree";
  const fs::path outside = git_.root() / "outside";
  sb::tests::write(outside / "README", "mine\n");
  sb::tests::write(outside / "a.cc", "mine\n");
  fs::create_directory(outside / "new");
  const auto before = contents(outside);
  // A file, a folder, the worktree's link, and the build folder itself.
  fs::remove(tree / "README");
  fs::create_symlink(outside / "README", tree / "README");
  fs::remove_all(tree / "src");
  fs::create_symlink(outside, tree / "src");
  fs::remove(tree / ".git");
  fs::create_symlink(outside / "README", tree / ".git");
  fs::remove(slot() / "build");
  fs::create_symlink(outside, slot() / "build");
  {
    ASSERT_OK(const Stage stage, acquire(second_));
    EXPECT_EQ(contents(tree), expected(second_));
    EXPECT_TRUE(stage.moved().recovered);
    EXPECT_FALSE(fs::is_symlink(stage.build()));
  }
  fs::remove_all(tree);
  fs::create_symlink(outside, tree);
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(tree), expected(first_));
  EXPECT_FALSE(fs::is_symlink(tree));
  EXPECT_EQ(contents(outside), before);
}

TEST_F(StagePools, do_not_write_through_a_hard_link) {
  {
    ASSERT_OK(const Stage stage, acquire(first_));
  }
  sb::tests::write(git_.root() / "outside", "mine\n");
  fs::remove(slot() / "tree" / "src" / "a.cc");
  fs::create_hard_link(git_.root() / "outside", slot() / "tree" / "src" / "a.cc");
  ASSERT_OK(const Stage stage, acquire(second_));
  EXPECT_EQ(sb::tests::read(stage.tree() / "src" / "a.cc"), "int a = 2;\n");
  EXPECT_EQ(sb::tests::read(git_.root() / "outside"), "mine\n");
}

TEST_F(StagePools, give_a_second_cycle_the_second_slot_and_a_third_a_conflict) {
  ASSERT_OK(const Stage one, acquire(first_, 2));
  ASSERT_OK(const Stage two, acquire(second_, 2));
  EXPECT_EQ(one.slot(), 0);
  EXPECT_EQ(two.slot(), 1);
  EXPECT_EQ(contents(one.tree()), expected(first_));
  EXPECT_EQ(contents(two.tree()), expected(second_));
  const auto third = acquire(first_, 2);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().kind, ErrorKind::conflict);
  EXPECT_THAT(third.error().what, HasSubstr("all 2 stages"));
}

TEST_F(StagePools, choose_the_free_slot_that_is_nearest_to_the_commit) {
  {
    ASSERT_OK(const Stage one, acquire(first_, 3));
    ASSERT_OK(const Stage two, acquire(second_, 3));
  }
  ASSERT_OK(const Stage near, acquire(second_, 3));
  EXPECT_EQ(near.slot(), 1);
  EXPECT_EQ(near.moved().written, 0);
  ASSERT_OK(const Stage next, acquire(second_, 3));
  EXPECT_EQ(next.slot(), 0) << "three files away, against five in the slot that was never used";
  EXPECT_EQ(next.moved().written, 2);
}

TEST_F(StagePools, note_submodules_and_leave_their_folders_empty) {
  git_.git({"update-index", "--add", "--cacheinfo", "160000," + first_ + ",third_party/lib"});
  git_.git({"commit", "--quiet", "--message", "submodule"});
  const std::string third = git_.git({"rev-parse", "HEAD"});
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(const Stage stage, acquire(third));
    EXPECT_TRUE(fs::is_empty(stage.tree() / "third_party" / "lib"));
    EXPECT_THAT(stage.moved().notes,
                ElementsAre("submodule third_party/lib is not staged: its folder is empty"));
    EXPECT_EQ(git_in(stage.tree(), {"status", "--porcelain"}), "");
    EXPECT_FALSE(stage.moved().recovered);
  }
  sb::tests::write(slot() / "tree" / "third_party" / "lib" / "planted", "x");
  {
    ASSERT_OK(const Stage stage, acquire(third));
    EXPECT_TRUE(fs::is_empty(stage.tree() / "third_party" / "lib"));
  }
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(stage.tree()), expected(first_));
}

TEST_F(StagePools, refuse_a_commit_whose_tree_has_a_git_folder_or_a_way_out) {
  const std::string blob = git_.git({"rev-parse", "HEAD:README"});
  for (const std::string name : {".GIT", "..", ".git\u200d", "."}) {
    SCOPED_TRACE(name);
    // git mktree does not judge names, and hostile objects arrive by fetch.
    sb::tests::write(git_.root() / "tree", "");
    const std::string object = "100644 " + name + '\0';
    std::string raw = object;
    for (std::size_t i = 0; i < blob.size(); i += 2)
      raw.push_back(static_cast<char>(std::stoi(blob.substr(i, 2), nullptr, 16)));
    sb::tests::write(git_.root() / "tree", raw);
    const std::string tree =
        git_.git({"hash-object", "-t", "tree", "-w", "--literally", (git_.root() / "tree").string()});
    const std::string commit = git_.git({"commit-tree", tree, "-m", "hostile"});
    const auto stage = acquire(commit);
    ASSERT_FALSE(stage.has_value());
    EXPECT_NE(stage.error().kind, ErrorKind::bug) << format_error(stage.error());
    EXPECT_THAT(contents(slot() / "tree"), IsEmpty());
  }
  ASSERT_OK(const Stage stage, acquire(first_));
  EXPECT_EQ(contents(stage.tree()), expected(first_));
}

TEST_F(StagePools, leave_the_users_checkout_index_and_branches_as_they_were) {
  git_.write("README", "half-written\n");
  git_.write("untracked", "x\n");
  git_.git({"add", "README"});
  git_.write("README", "and more\n");
  const auto before = users_things(git_.repo());
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve(first_));
  ASSERT_OK(const Source patched, repository.apply_patch(base, add("extra.cc"), 3));
  StagePool pool(stages(), 1);
  for (const Source& source : {base, patched, base}) {
    ASSERT_OK(const Stage stage, pool.acquire(repository, source));
  }
  ASSERT_GOOD(repository.forget(3));
  ASSERT_GOOD(pool.clear(repository));
  EXPECT_EQ(users_things(git_.repo()), before);
}

TEST_F(StagePools, run_no_hook_no_filter_and_no_fsmonitor) {
  const fs::path marker = git_.root() / "marker";
  const std::string script = "#!/bin/sh\necho \"$0\" >> " + marker.string() + "\ncat\n";
  git_.write(".gitattributes", "* filter=evil text eol=crlf\n");
  git_.commit("with a filter");
  const auto plant = [&](const fs::path& path) {
    sb::tests::write(path, script);
    fs::permissions(path, fs::perms::owner_all);
  };
  for (const char* hook : {"post-checkout", "post-commit", "post-index-change", "pre-commit",
                           "reference-transaction", "post-applypatch"}) {
    plant(git_.repo() / ".git" / "hooks" / hook);
  }
  plant(git_.root() / "evil");
  const std::string evil = (git_.root() / "evil").string();
  git_.git({"config", "filter.evil.smudge", evil});
  git_.git({"config", "filter.evil.clean", evil});
  git_.git({"config", "filter.evil.process", evil});
  git_.git({"config", "core.fsmonitor", evil});
  git_.git({"config", "core.autocrlf", "true"});
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve("HEAD"));
  ASSERT_OK(const Source patched, repository.apply_patch(base, add("extra.cc"), 3));
  StagePool pool(stages(), 1);
  {
    ASSERT_OK(const Stage stage, pool.acquire(repository, base));
  }
  ASSERT_OK(const Stage stage, pool.acquire(repository, patched));
  EXPECT_EQ(sb::tests::read(stage.tree() / "extra.cc"), "x\n");
  EXPECT_EQ(sb::tests::read(stage.tree() / "README"), "one\n") << "no line end conversion";
  EXPECT_EQ(sb::tests::read(marker), "");
}

TEST_F(StagePools, clear_what_no_cycle_holds) {
  ASSERT_OK(const Stage held, acquire(first_, 2));
  {
    ASSERT_OK(const Stage stage, acquire(second_, 2));
  }
  Repository repository = git_.open();
  ASSERT_GOOD(StagePool(stages(), 2).clear(repository));
  EXPECT_EQ(contents(held.tree()), expected(first_));
  EXPECT_FALSE(fs::exists(slot(1) / "tree"));
  const std::string list = git_.git({"worktree", "list"});
  EXPECT_THAT(list, HasSubstr(held.tree().string()));
  EXPECT_THAT(list, testing::Not(HasSubstr(slot(1).string())));
  ASSERT_GOOD(StagePool(git_.root() / "never", 2).clear(repository));
}

}  // namespace
}  // namespace sb::staging::tests
