// A folder under a fixed name: what the run sees of it, and what stays as it was.
#include <unistd.h>

#include "unit/sandbox/runs.h"

namespace sb::sandbox::tests {
namespace {

class SandboxView : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto mechanism = view_mechanism(); !mechanism) GTEST_SKIP() << one_line(mechanism.error());
  }
  [[nodiscard]] Command in_view(std::string script) const {
    Command command = shell(std::move(script), "/stage");
    command.view = View{.folder = folder_.path().string(), .at = "/stage"};
    return command;
  }
  std::filesystem::path path(std::string_view name) const { return folder_.path() / name; }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
};

TEST_F(SandboxView, shows_the_folder_under_its_name) {
  sb::tests::write(path("in"), "from outside\n");
  ASSERT_OK(const Outcome outcome, run_to_end(in_view("pwd -P; cat /stage/in; echo made > out")));
  EXPECT_TRUE(outcome.report.ok()) << outcome.report.to_string();
  EXPECT_EQ(outcome.output, "/stage\nfrom outside\n");
  EXPECT_EQ(sb::tests::read(path("out")), "made\n");
}

TEST_F(SandboxView, keeps_the_rest_of_the_host_where_it_is) {
  ASSERT_OK(const Outcome outcome,
            run_to_end(in_view("test -x /usr/bin/env && test -r /proc/self/stat && test -c /dev/null && "
                               "test -e " +
                               folder_.path().string() + " && ls -d /tmp && id -u")));
  EXPECT_TRUE(outcome.report.ok()) << outcome.output;
  EXPECT_EQ(outcome.output, "/tmp\n" + std::to_string(::geteuid()) + "\n");
}

TEST_F(SandboxView, leaves_nothing_behind_and_no_way_to_the_scratch_root) {
  ASSERT_OK(const Outcome outcome, run_to_end(in_view("ls -d /old /new /stage 2>/dev/null; touch /x 2>&1")));
  EXPECT_FALSE(outcome.report.ok());
  EXPECT_TRUE(outcome.output.starts_with("/stage\n")) << outcome.output;
  EXPECT_NE(outcome.output.find("Read-only file system"), std::string::npos) << outcome.output;
  EXPECT_FALSE(std::filesystem::exists("/stage"));
}

TEST_F(SandboxView, two_runs_see_their_own_folders) {
  const auto other = sb::tests::temporary_folder();
  sb::tests::write(path("name"), "one\n");
  sb::tests::write(other.path() / "name", "two\n");
  Command second = in_view("cat /stage/name");
  second.view->folder = other.path().string();
  ASSERT_OK(const Outcome one, run_to_end(in_view("cat /stage/name")));
  ASSERT_OK(const Outcome two, run_to_end(second));
  EXPECT_EQ(one.output + two.output, "one\ntwo\n");
}

TEST_F(SandboxView, can_be_made_inside_itself) {
  ASSERT_OK(const Outcome outcome,
            run_to_end(in_view("unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /tmp && "
                               "echo nested' 2>&1")));
  EXPECT_EQ(outcome.output, "nested\n");
}

TEST_F(SandboxView, hides_a_file) {
  sb::tests::write(path("secret"), "word\n");
  sb::tests::write(path("open"), "text\n");
  Command command = in_view("cat secret; (echo x > secret) 2>&1; rm -f secret 2>/dev/null; cat open");
  command.view->hidden = {"secret", "missing"};
  ASSERT_OK(const Outcome outcome, run_to_end(command));
  EXPECT_EQ(outcome.output, "text\n");
  EXPECT_EQ(sb::tests::read(path("secret")), "word\n");
}

TEST_F(SandboxView, says_that_the_folder_is_missing) {
  Command command = in_view("true");
  command.view->folder = path("nothing").string();
  const auto report = run_to_end(command);
  ASSERT_FALSE(report);
  EXPECT_NE(one_line(report.error()).find("nothing"), std::string::npos) << one_line(report.error());
}

TEST(View, translates_paths_at_whole_names) {
  const View view{.folder = "/home/me/slot-0", .at = "/selfbuild"};
  EXPECT_EQ(view.seen("/home/me/slot-0/tree/a.cc"), "/selfbuild/tree/a.cc");
  EXPECT_EQ(view.seen("/home/me/slot-0"), "/selfbuild");
  EXPECT_EQ(view.seen("/home/me/slot-01/a.cc"), "/home/me/slot-01/a.cc");
  EXPECT_EQ(view.real("/selfbuild/build/x.o"), "/home/me/slot-0/build/x.o");
  EXPECT_EQ(view.real("/usr/include/stdio.h"), "/usr/include/stdio.h");
}

}  // namespace
}  // namespace sb::sandbox::tests
