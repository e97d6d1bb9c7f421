// Patches that must be refused, each by the rule that is meant for it, and none of which may leave a trace:
// not in the stage, not outside it, not in the user's checkout, and no object or ref in the repository.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "staging/patch_reader.h"
#include "staging/path_rules.h"
#include "staging/stage_pool.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "unit/staging/git_fixture.h"
#include "unit/staging/patch_text.h"

namespace sb::staging::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Hostile {
  std::string name;
  std::string_view rule;
  std::string patch;
};

std::string change_readme(std::string_view first = "one") {
  return diff_header("README", "README") + "--- a/README\n+++ b/README\n@@ -1,3 +1,3 @@\n-" +
         std::string(first) + "\n+ONE\n two\n three\n";
}

std::string mail_with(std::string_view headers, std::string_view behind) {
  return "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\n"
         "Subject: [PATCH] x\n" +
         std::string(headers) + "\n---\n" + std::string(behind);
}

std::vector<Hostile> paths_and_folders() {
  return {
      {"dotdot first", rule::kEscapes, add("../evil")},
      {"dotdot in the middle", rule::kEscapes, add("src/../../evil")},
      {"dotdot hidden by the prefix", rule::kEscapes, "--- ../x\n+++ ../evil\n@@ -0,0 +1 @@\n+x\n"},
      {"dotdot between backslashes", rule::kEscapes, add(R"(src\..\..\evil)")},
      {"absolute in the plus line", rule::kAbsolutePath, "--- /dev/null\n+++ /tmp/evil\n@@ -0,0 +1 @@\n+x\n"},
      {"absolute behind the prefix", rule::kAbsolutePath, add("/tmp/evil")},
      {"drive letter", rule::kAbsolutePath, add("C:/evil")},
      {"empty component", rule::kEmptyName, add("src//evil")},
      {"dot component", rule::kEmptyName, add("src/./evil")},
      {"name of 300 bytes", rule::kTooLong, add(std::string(300, 'x'))},
      {"200 folders deep", rule::kTooLong, add([] {
         std::string path;
         for (int i = 0; i < 200; ++i) path += "d/";
         return path + "x";
       }())},
      {"git hook", rule::kGitFolder, add(".git/hooks/post-checkout", "#!/bin/sh", "100755")},
      {"git in capitals", rule::kGitFolder, add(".GIT/config")},
      {"git with a dot", rule::kGitFolder, add(".git./config")},
      {"git with a blank", rule::kGitFolder, add(".git /config")},
      {"git short name", rule::kGitFolder, add("GIT~1/config")},
      {"git stream", rule::kGitFolder, add(".git::$INDEX_ALLOCATION/config")},
      {"git with a zero-width joiner", rule::kGitFolder, add(".g\u200cit/config")},
      {"git before a backslash", rule::kGitFolder, add(R"(src\.git\config)")},
      {"git below a folder", rule::kGitFolder, add("src/.git/config")},
      {"git as a symlink", rule::kGitFolder, add_symlink(".git", "src")},
      {"submodule file", rule::kSubmoduleFile, add(".gitmodules")},
      {"submodule file in capitals", rule::kSubmoduleFile, add(".GITMODULES")},
      {"submodule file with a blank", rule::kSubmoduleFile, add(".gitmodules ")},
      {"submodule file, short name", rule::kSubmoduleFile, add("GITMOD~1")},
      {"submodule file, hashed short name", rule::kSubmoduleFile, add("gi7eba~1")},
      {"submodule file, zero-width", rule::kSubmoduleFile, add(".gitmod\u200dules")},
      {"backslash", rule::kBackslash, add("src\\evil.cc")},
  };
}

std::vector<Hostile> types() {
  const std::string commit = "Subproject commit 0123456789012345678901234567890123456789";
  return {
      {"new gitlink", rule::kGitlink, add("evil", commit, "160000")},
      {"changed gitlink", rule::kGitlink,
       diff_header("sub", "sub") + "index 0123456..1123456 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-" +
           commit + "\n+Subproject commit 1123456789012345678901234567890123456789\n"},
      {"removed gitlink", rule::kGitlink, remove("sub", commit, "160000")},
      {"file below a gitlink", rule::kGitlink, add("sub/evil")},
      {"through a symlink of the tree", rule::kThroughSymlink, add("outside/evil")},
      {"through a symlink that stays inside", rule::kThroughSymlink, add("link/evil")},
      {"through a symlink of the same patch", rule::kThroughSymlink,
       add_symlink("door", "src") + add("door/evil")},
      {"through a folder that turns into a symlink", rule::kThroughSymlink,
       remove("src/a.cc", "int a;") + add_symlink("src", "docs") + add("src/evil")},
      {"through a symlink that is renamed there", rule::kThroughSymlink,
       diff_header("outside", "door") + "similarity index 100%\nrename from outside\nrename to door\n" +
           add("door/evil")},
      {"through a symlink of the mail before", rule::kThroughSymlink,
       mail_with("", add_symlink("door", "src")) + mail_with("", add("door/evil"))},
      {"removal through a symlink", rule::kThroughSymlink, remove("outside/sentinel", "sentinel")},
      {"symlink changed as if it were a file", rule::kThroughSymlink,
       "--- a/link\n+++ b/link\n@@ -1 +1 @@\n-src\n\\ No newline at end of file\n+/etc\n\\ No newline at end "
       "of file\n"},
      {"symlink taken for a file", rule::kMode,
       diff_header("link", "link") +
           "index 0123456..1123456 100644\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-src\n"
           "\\ No newline at end of file\n+x\n"},
      {"absolute symlink", rule::kSymlinkTarget, add_symlink("evil", "/etc/passwd")},
      {"symlink that escapes", rule::kSymlinkTarget, add_symlink("src/evil", "../../outside")},
      {"symlink that escapes through another", rule::kSymlinkTarget,
       add_symlink("src/top", "..") + add_symlink("evil", "src/top/../outside")},
      {"symlink whose way is bent by a new one", rule::kSymlinkTarget,
       add_symlink("docs/up", "../src/..") + add_symlink("evil", "docs/up/..")},
      {"symlink in a circle", rule::kSymlinkTarget, add_symlink("circle", "circle")},
      {"symlink into the git folder", rule::kSymlinkTarget, add_symlink("evil", ".git/config")},
      {"symlink with a newline", rule::kSymlinkTarget, add("evil", "src", "120000", true)},
      {"symlink turned outside", rule::kSymlinkTarget,
       diff_header("link", "link") +
           "index 85de9cf..1123456 120000\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-src\n"
           "\\ No newline at end of file\n+/etc\n\\ No newline at end of file\n"},
      {"group-writable mode", rule::kMode, add("evil", "x", "100664")},
      {"setuid mode", rule::kMode, add("evil", "x", "104755")},
      {"folder mode", rule::kMode, add("evil", "x", "040000")},
      {"device mode", rule::kMode, add("evil", "x", "060000")},
      {"mode that is no number", rule::kMode, add("evil", "x", "10064x")},
      {"file into symlink by mode", rule::kTypeChange,
       diff_header("README", "README") + "old mode 100644\nnew mode 120000\n"},
      {"file below a file", rule::kFileCollision, add("README/evil")},
      {"file in place of a folder", rule::kFileCollision, add("src")},
  };
}

std::vector<Hostile> names() {
  return {
      {"case of a file", rule::kCaseCollision, add("readme")},
      {"case of a folder", rule::kCaseCollision, add("SRC/b.cc")},
      {"case of two new files", rule::kCaseCollision, add("new.h") + add("NEW.h")},
      {"case beyond ASCII", rule::kCaseCollision, add("docs/CAF\u00c9")},
      {"Kelvin sign", rule::kCaseCollision, add("docs/\u212aeep")},
      {"decomposed look-alike", rule::kUnicode, add("docs/cafe\u0301")},
      {"bidi override", rule::kUnicode, add("src/\u202ecc.live\u202c")},
      {"zero-width space", rule::kUnicode, add("src/a\u200b.cc")},
      {"tag character", rule::kUnicode, add("src/a\U000e0041.cc")},
      {"not UTF-8", rule::kUnicode,
       "diff --git \"a/x\\377\" \"b/x\\377\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/x\\377\"\n@@ -0,0 "
       "+1 @@\n+x\n"},
      {"overlong UTF-8", rule::kUnicode,
       "diff --git \"a/\\300\\256\" \"b/\\300\\256\"\nnew file mode 100644\n"},
      {"quoted newline", rule::kControl, "diff --git \"a/x\\ny\" \"b/x\\ny\"\nnew file mode 100644\n"},
      {"carriage returns throughout", rule::kControl,
       "--- a/README\r\n+++ b/README\r\n@@ -1,1 +1,1 @@\r\n-one\r\n+ONE\r\n"},
      {"C1 control", rule::kControl, add("src/a\u0085b")},
      {"rename from outside", rule::kEscapes,
       diff_header("x", "loot") + "similarity index 100%\nrename from ../outside/sentinel\nrename to loot\n"},
      {"copy from an absolute path", rule::kAbsolutePath,
       diff_header("x", "loot") + "similarity index 100%\ncopy from /etc/passwd\ncopy to loot\n"},
      {"copy from the git folder", rule::kGitFolder,
       diff_header("x", "loot") + "similarity index 100%\ncopy from .git/config\ncopy to loot\n"},
      {"rename into the git folder", rule::kGitFolder,
       diff_header("README", "x") + "similarity index 100%\nrename from README\nrename to .git/config\n"},
      {"headers of two files", rule::kNames,
       diff_header("README", "README") + "--- a/README\n+++ b/src/a.cc\n@@ -1 +1 @@\n-one\n+x\n"},
      {"git line of another file", rule::kNames,
       diff_header("docs/x", "docs/x") +
           "--- a/README\n+++ b/README\n@@ -1,3 +1,3 @@\n-one\n+ONE\n two\n three\n"},
      {"one file twice", rule::kTwice, change_readme() + change_readme()},
  };
}

std::vector<Hostile> sizes_and_cuts() {
  const std::string zeros(10 << 20, '\0');
  const std::string huge_delta("\x03\xff\xff\xff\xff\x7f\x01x", 8);  // makes 32 GiB out of 3 bytes
  const std::string outside_delta("\x03\x10\x91\xf0\x10", 5);        // copies from offset 240 of 3
  const std::string many = [] {
    std::string patch;
    for (std::size_t i = 0; i <= kMaxPatchFiles; ++i) patch += add(fmt::format("many/{}", i));
    return patch;
  }();
  std::string cut_binary = binary("evil.bin", "literal", 500, std::string(500, 'q'));
  cut_binary.resize(cut_binary.size() - 4);
  return {
      {"binary that says it is huge", rule::kTooLarge, binary("evil.bin", "literal", 1UL << 40U, "x")},
      {"binary bomb", rule::kBinaryDelta, binary("evil.bin", "literal", 10, zeros)},
      {"binary that is shorter than it says", rule::kBinaryDelta, binary("evil.bin", "literal", 1000, "x")},
      {"delta that makes too much", rule::kTooLarge,
       binary("blob.bin", "delta", huge_delta.size(), huge_delta, false)},
      {"delta that copies from outside", rule::kBinaryDelta,
       binary("blob.bin", "delta", outside_delta.size(), outside_delta, false)},
      {"10,001 files", rule::kTooLarge, many},
      {"cut inside a hunk", rule::kTruncated, change_readme().substr(0, change_readme().size() - 7)},
      {"cut inside a line", rule::kTruncated, change_readme().substr(0, change_readme().size() - 2)},
      {"hunk longer than it says", rule::kTruncated, change_readme() + "+smuggled\n"},
      {"hunk with a wrong count", rule::kTruncated,
       diff_header("README", "README") + "--- a/README\n+++ b/README\n@@ -1,2 +1,1 @@\n-one\n+ONE\n two\n"},
      {"names without a hunk", rule::kTruncated,
       diff_header("README", "README") + "--- a/README\n+++ b/README\n"},
      {"index line without a hunk", rule::kTruncated,
       diff_header("README", "README") + "index 0123456..1123456 100644\n"},
      {"hunk without a file", rule::kTruncated, "@@ -1 +1 @@\n-one\n+ONE\n"},
      {"cut between two hunks", rule::kTruncated,
       diff_header("README", "README") + "index 4cb29ea..0000111 100644\n" +
           change_readme().substr(change_readme().find("---"))},
      {"cut binary", rule::kTruncated, cut_binary},
      {"mail with fewer files than it says", rule::kTruncated,
       mail_with("", " README | 2 +-\n x | 1 +\n 2 files changed, 1 insertion(+)\n\n" + change_readme())},
      {"binary without data", rule::kBinaryWithoutData,
       diff_header("blob.bin", "blob.bin") +
           "index 0123456..1123456 100644\nBinary files a/blob.bin and b/blob.bin differ\n"},
      {"combined diff of a merge", rule::kMerge, "diff --cc README\nindex 1,2..3\n"},
      {"mail in base64", rule::kEncoded, mail_with("Content-Transfer-Encoding: base64\n", change_readme())},
      {"no diff at all", rule::kSyntax, "please run rm -rf /\n"},
      {"empty", rule::kSyntax, ""},
      {"no prefix", rule::kSyntax, "--- README\n+++ README\n@@ -1 +1 @@\n-one\n+ONE\n"},
  };
}

std::vector<Hostile> all_of_them() {
  std::vector<Hostile> all;
  for (const auto& part : {paths_and_folders(), types(), names(), sizes_and_cuts()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class HostilePatches : public testing::Test {
 protected:
  HostilePatches() {
    sb::tests::write(git_.root() / "outside" / "sentinel", "sentinel\n");
    git_.write("README", "one\ntwo\nthree\n");
    git_.write("src/a.cc", "int a;\n");
    git_.write("docs/caf\u00e9", "coffee\n");
    git_.write("docs/keep", "kept\n");
    git_.write("blob.bin", std::string("\0\1\2", 3));
    fs::create_symlink("src", git_.repo() / "link");
    fs::create_symlink(git_.root() / "outside",
                       git_.repo() / "outside");  // the commit itself is not to be trusted
    git_.git({"update-index", "--add", "--cacheinfo", "160000,0123456789012345678901234567890123456789,sub"});
    git_.git({"add", "README", "src", "docs", "blob.bin", "link", "outside"});
    git_.git({"commit", "--quiet", "--message", "base"});
  }

  std::map<std::string, std::string> everything() const { return contents(git_.root()); }
  std::map<std::string, std::string> git_folder() const {
    auto found = contents(git_.repo() / ".git" / "objects");
    found.merge(contents(git_.repo() / ".git" / "refs"));
    return found;
  }

  GitFixture git_;
};

TEST_F(HostilePatches, are_refused_by_their_rule_and_leave_no_trace) {
  const std::vector<Hostile> all = all_of_them();
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve("HEAD"));
  StagePool pool(git_.root() / "stages", 1);
  ASSERT_OK(const Stage stage, pool.acquire(repository, base));
  const auto before = everything();
  const auto git_before = git_folder();
  ASSERT_EQ(before.at("outside/sentinel"), "100644 sentinel\n");
  std::set<std::string_view> rules;
  std::size_t refused = 0;
  for (const Hostile& hostile : all) {
    SCOPED_TRACE(hostile.name);
    const auto result = repository.apply_patch(base, hostile.patch, 7);
    ASSERT_FALSE(result.has_value()) << "it was applied:\n" << hostile.patch.substr(0, 2000);
    EXPECT_EQ(result.error().kind, ErrorKind::refused) << format_error(result.error());
    EXPECT_THAT(result.error().what, HasSubstr(fmt::format("rule '{}'", hostile.rule)));
    EXPECT_EQ(everything(), before);
    EXPECT_EQ(git_folder(), git_before);
    rules.insert(hostile.rule);
    ++refused;
  }
  EXPECT_EQ(refused, 100U) << "the table has changed: change this number, too";
  EXPECT_EQ(rules.size(), 25U) << "every rule of path_rules.h has at least one case";
}

TEST_F(HostilePatches, a_staged_commit_with_an_escaping_symlink_is_not_written_through) {
  Repository repository = git_.open();
  ASSERT_OK(const Source base, repository.resolve("HEAD"));
  StagePool pool(git_.root() / "stages", 1);
  ASSERT_OK(const Stage stage, pool.acquire(repository, base));
  EXPECT_EQ(fs::read_symlink(stage.tree() / "outside"), git_.root() / "outside");
  EXPECT_EQ(contents(git_.root() / "outside").size(), 1U);
}

}  // namespace
}  // namespace sb::staging::tests
