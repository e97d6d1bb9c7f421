// selfbuild update from end to end: kept, answered from history, rejected, rolled back.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "base/unique_fd.h"
#include "support/files.h"
#include "support/installation.h"
#include "support/wait.h"

namespace sb {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::Finished;
using tests::Installation;

class Update : public testing::Test {
 protected:
  void SetUp() override {
    host_.make_tiny_project();
    const Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("tiny"), "v1");
  }
  Finished update_with(const std::string& file, const std::string& from, const std::string& to) {
    return host_.selfbuild({"update", "--patch", host_.patch(file, from, to).string()});
  }
  // For what takes its third crash to show.
  void watch_for_long() {
    host_.edit("selfbuild.yaml", "probation: 300ms", "probation: 10m");
    host_.commit("tiny: a longer probation");
  }
  Installation host_;
};

TEST_F(Update, of_a_patch_makes_the_next_version_live) {
  const Finished update = update_with("tiny.sh", "edition 1", "edition 2");
  EXPECT_EQ(update.code, 0) << update.all();
  EXPECT_THAT(update.out, HasSubstr("v2 is live (was v1)"));
  EXPECT_EQ(host_.live("tiny"), "v2");
  EXPECT_THAT(tests::read(host_.home().pointer("tiny") / "bin/tiny"), HasSubstr("edition 2"));
}

TEST_F(Update, of_a_commit_leaves_checkout_index_and_branches_alone) {
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  tests::write(host_.repository() / "untracked.txt", "mine");
  host_.edit("tiny.sh", "edition 2", "edition 2, being edited");
  const std::string before = host_.git({"status", "--porcelain=v2", "--branch"}).out +
                             host_.git({"branch", "--all", "--verbose"}).out;
  const std::string index = tests::read(host_.repository() / ".git/index");
  EXPECT_EQ(host_.selfbuild({"update"}).code, 0);
  EXPECT_EQ(tests::read(host_.repository() / ".git/index"), index);
  EXPECT_EQ(host_.git({"status", "--porcelain=v2", "--branch"}).out +
                host_.git({"branch", "--all", "--verbose"}).out,
            before);
  EXPECT_THAT(tests::read(host_.repository() / "tiny.sh"), HasSubstr("being edited"));
  EXPECT_THAT(tests::read(host_.home().pointer("tiny") / "bin/tiny"), Not(HasSubstr("being edited")));
}

TEST_F(Update, of_a_tree_that_has_a_version_runs_nothing_and_says_so) {
  const Finished again = host_.selfbuild({"update"});
  EXPECT_EQ(again.code, 0) << again.all();
  EXPECT_THAT(again.out, HasSubstr("This tree is v1 already: nothing was built."));
  EXPECT_THAT(again.err, Not(HasSubstr("building")));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, of_a_tree_that_was_good_before_takes_its_version_from_history_and_makes_it_live) {
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  ASSERT_EQ(host_.selfbuild({"update"}).code, 0);
  ASSERT_EQ(host_.live("tiny"), "v2");
  (void)host_.git({"revert", "--no-edit", "HEAD"});
  const Finished dry = host_.selfbuild({"update", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("build     nothing: this tree is v1, which is taken from history"));
  EXPECT_THAT(dry.out, HasSubstr("swap      tiny (overlap)"));

  const Finished revert = host_.selfbuild({"update"});
  EXPECT_EQ(revert.code, 0) << revert.all();
  EXPECT_THAT(revert.out, HasSubstr("v1 is live (was v2)"));
  EXPECT_THAT(revert.out, HasSubstr("taken from history"));
  EXPECT_THAT(revert.err, HasSubstr("verifying")) << "it has to prove itself like any other";
  EXPECT_THAT(revert.err, Not(HasSubstr("building")));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, builds_a_good_tree_again_when_its_version_is_damaged_in_the_store) {
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  ASSERT_EQ(host_.selfbuild({"update"}).code, 0);
  (void)host_.git({"revert", "--no-edit", "HEAD"});
  std::filesystem::remove_all(host_.home().version("tiny", 1));
  std::filesystem::remove_all(host_.home().objects());
  const Finished revert = host_.selfbuild({"update"});
  EXPECT_EQ(revert.code, 0) << revert.all();
  EXPECT_THAT(revert.err, HasSubstr("v1 is built again: "));
  EXPECT_EQ(host_.live("tiny"), "v3");
}

TEST_F(Update, that_never_comes_up_in_service_is_rejected_and_not_tried_again) {
  host_.edit("selfbuild.yaml", "  start_timeout:", "  ready: {notify: true}\n  start_timeout:");
  host_.edit("tiny.sh", "exec sleep 1000000", R"([ -n "$SELFBUILD_CANDIDATE" ] || exit 9
exec perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0);
  send(S, "READY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})); sleep')");
  host_.commit("tiny: well only as a candidate");
  const Finished first = host_.selfbuild({"update"});
  ASSERT_EQ(first.code, 1) << first.all();
  EXPECT_THAT(first.out, HasSubstr("v2 did not go into service"));
  EXPECT_EQ(host_.live("tiny"), "v1");

  EXPECT_THAT(host_.selfbuild({"update", "--dry-run"}).out,
              HasSubstr("refuse    this tree is v2, which was rejected: "));
  const Finished again = host_.selfbuild({"update"});
  EXPECT_EQ(again.code, 1) << again.all();
  EXPECT_THAT(again.out, HasSubstr("this tree is v2, which was rejected: "));
  EXPECT_THAT(again.out, HasSubstr("selfbuild promote v2 --force"));
  EXPECT_THAT(again.err, Not(HasSubstr("building")));
  EXPECT_THAT(host_.selfbuild({"promote"}).out, HasSubstr("v1 is live already"));
}

TEST_F(Update, that_does_not_build_is_rejected_with_the_reason_and_v1_stays) {
  const Finished update = update_with("CMakeLists.txt", "-E copy", "-E no_such_verb");
  EXPECT_EQ(update.code, 1) << update.all();
  EXPECT_THAT(update.out, HasSubstr("rejected: "));
  EXPECT_THAT(update.out, HasSubstr("v1 is live and was not touched."));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, that_breaks_a_test_is_rejected_and_names_the_test) {
  const Finished update = update_with("tiny.sh", "exec sleep", "if exec sleep");
  EXPECT_EQ(update.code, 1) << update.all();
  EXPECT_THAT(update.out, HasSubstr("script_parses"));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, whose_candidate_dies_is_rejected_before_any_swap) {
  const Finished update = update_with("tiny.sh", "exec sleep 1000000", "exit 9");
  EXPECT_EQ(update.code, 1) << update.all();
  EXPECT_THAT(update.out, HasSubstr("exit code 9"));
  EXPECT_THAT(update.err, Not(HasSubstr("swapping")));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, that_escapes_the_tree_is_rejected_and_writes_nothing_outside) {
  const auto outside = host_.scratch() / "outside";
  std::filesystem::create_directories(outside);
  const auto patch = host_.scratch() / "escape.patch";
  tests::write(
      patch, "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+" +
                 outside.string() + "\n\\ No newline at end of file\n" +
                 "diff --git a/link/file b/link/file\nnew file mode 100644\n--- /dev/null\n+++ b/link/file\n"
                 "@@ -0,0 +1 @@\n+written\n");
  const Finished update = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(update.code, 1) << update.all();
  EXPECT_THAT(update.out, HasSubstr("rejected: "));
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, that_dies_in_service_is_rolled_back_by_itself) {
  watch_for_long();
  const Finished update =
      update_with("tiny.sh", "exec sleep", "[ -n \"$SELFBUILD_CANDIDATE\" ] || exec sleep 0.1\nexec sleep");
  EXPECT_EQ(update.code, 3) << update.all();
  EXPECT_THAT(update.out, HasSubstr("rolled back: "));
  EXPECT_THAT(update.out, HasSubstr("v1 is live."));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, of_what_was_rolled_back_is_not_tried_again) {
  watch_for_long();
  const auto patch =
      host_.patch("tiny.sh", "exec sleep", "[ -n \"$SELFBUILD_CANDIDATE\" ] || exec sleep 0.1\nexec sleep");
  ASSERT_EQ(host_.selfbuild({"update", "--patch", patch.string()}).code, 3);
  const Finished again = host_.selfbuild({"update", "--patch", patch.string()});
  EXPECT_EQ(again.code, 1) << again.all();
  EXPECT_THAT(again.out, HasSubstr("rolled_back"));
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, dry_run_changes_nothing_and_says_what_it_would_do) {
  const std::string references = host_.git({"for-each-ref"}).out;
  const Finished dry = host_.selfbuild(
      {"update", "--dry-run", "--patch", host_.patch("tiny.sh", "edition 1", "edition 2").string()});
  EXPECT_EQ(dry.code, 0) << dry.all();
  EXPECT_THAT(dry.out, HasSubstr("Nothing was changed."));
  EXPECT_THAT(dry.out, HasSubstr("tiny (overlap)"));
  EXPECT_EQ(host_.git({"for-each-ref"}).out, references);
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, waits_while_builds_by_hand_hold_every_stage) {
  std::vector<UniqueFd> held;
  for (const char* slot : {"slot-0", "slot-1"}) {
    const auto folder = host_.home().stages("tiny") / slot;
    std::filesystem::create_directories(folder);
    held.emplace_back(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::flock(held.back().get(), LOCK_EX | LOCK_NB), 0);
  }
  const auto patch = host_.patch("tiny.sh", "edition 1", "edition 2");
  tests::Background update = host_.selfbuild_in_background({"update", "--patch", patch.string()});
  const auto progress = host_.home().cycle(2) / "progress.jsonl";
  tests::wait_until([&] { return tests::read(progress).find("waiting: all 2 stages") != std::string::npos; });
  held.clear();
  const Finished finished = update.wait();
  EXPECT_EQ(finished.code, 0) << finished.all();
  EXPECT_EQ(host_.live("tiny"), "v2");
}

TEST_F(Update, with_an_empty_patch_is_wrong_usage_and_not_an_update_without_a_patch) {
  host_.edit("tiny.sh", "edition 1", "edition 2");
  host_.commit("tiny: second");
  const Finished empty_input = host_.selfbuild({"update", "--patch", "-"});
  EXPECT_EQ(empty_input.code, 2) << empty_input.all();
  EXPECT_THAT(empty_input.err, HasSubstr("the patch from standard input is empty"));
  const Finished unset = host_.selfbuild({"update", "--patch", ""});
  EXPECT_EQ(unset.code, 2) << unset.all();
  EXPECT_EQ(host_.live("tiny"), "v1");
}

TEST_F(Update, outside_of_a_project_says_how_to_begin) {
  const Finished lost = host_.selfbuild({"-C", "/", "update"});
  EXPECT_EQ(lost.code, 1) << lost.all();
  EXPECT_THAT(lost.err, HasSubstr("selfbuild init"));
}

TEST(UpdateDrainFirst, swaps_a_service_that_cannot_run_twice) {
  Installation host;
  host.make_tiny_project("drain-first");
  ASSERT_EQ(host.selfbuild({"update"}).code, 0);
  const Finished second =
      host.selfbuild({"update", "--patch", host.patch("tiny.sh", "edition 1", "edition 2").string()});
  EXPECT_EQ(second.code, 0) << second.all();
  EXPECT_EQ(host.live("tiny"), "v2");
}

}  // namespace
}  // namespace sb
