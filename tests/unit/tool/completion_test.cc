// Completion scripts: bash reads its script, and completes as a person would expect.
#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "command_line.h"
#include "support/files.h"
#include "tool/selfbuild/completion_script.h"

namespace sb::tool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Completion : public testing::Test {
 protected:
  Completion() {
    Program program;
    tests::add_all(program);
    script = *completion_script(program.app(), "bash");
    sb::tests::write(folder.path() / "script", script);
    sb::tests::write(folder.path() / "sub" / "file.patch", "");
  }

  // What bash offers for the last word of `words`.
  [[nodiscard]] std::string offered(const std::string& words) const {
    std::string array;
    int count = 0;
    std::string rest = words + ' ';
    for (std::size_t end = 0; (end = rest.find(' ')) != std::string::npos; rest.erase(0, end + 1)) {
      array += " '" + rest.substr(0, end) + "'";
      ++count;
    }
    sb::tests::write(folder.path() / "ask", "source ./script\nCOMP_WORDS=(" + array +
                                                ")\nCOMP_CWORD=" + std::to_string(count - 1) +
                                                "\n_selfbuild 2>/dev/null\necho \"${COMPREPLY[*]}\"\n");
    return bash("ask");
  }
  [[nodiscard]] std::string bash(const std::string& arguments) const {
    const std::string command = "cd '" + folder.path().string() + "' && bash " + arguments + " 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    char block[4096];
    for (std::size_t count = 0; (count = std::fread(block, 1, sizeof block, pipe)) > 0;)
      output.append(block, count);
    const int status = ::pclose(pipe);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << output;
    while (output.ends_with('\n')) output.pop_back();
    return output;
  }

  os::TemporaryFolder folder = sb::tests::temporary_folder();
  std::string script;
};

TEST_F(Completion, bash_reads_its_script) {
  EXPECT_EQ(bash("-n script"), "");
}

TEST_F(Completion, completes_a_command) {
  EXPECT_EQ(offered("selfbuild upd"), "update");
  EXPECT_THAT(offered("selfbuild "),
              AllOf(HasSubstr("history"), HasSubstr("rollback"), HasSubstr("--version")));
}

TEST_F(Completion, completes_the_options_and_subcommands_of_a_command) {
  EXPECT_EQ(offered("selfbuild history --li"), "--limit");
  EXPECT_EQ(offered("selfbuild conductor sta"), "start status");
  EXPECT_EQ(offered("selfbuild conductor stop --s"), "--services");
  EXPECT_THAT(offered("selfbuild conductor st"), Not(HasSubstr("--limit")));
}

TEST_F(Completion, completes_commands_behind_a_global_option) {
  EXPECT_EQ(offered("selfbuild -C sub prom"), "promote");
  EXPECT_EQ(offered("selfbuild -C s"), "sub");  // a folder; not the file `script`
}

TEST_F(Completion, completes_values) {
  EXPECT_EQ(offered("selfbuild update --patch sub/f"), "sub/file.patch");
  EXPECT_EQ(offered("selfbuild init --template t"), "tool");
  EXPECT_EQ(offered("selfbuild completions f"), "fish");
  EXPECT_EQ(offered("selfbuild help roll"), "rollback");
  EXPECT_EQ(offered("selfbuild history --limit "), "");
}

TEST_F(Completion, has_zsh_and_fish_and_nothing_else) {
  Program program;
  tests::add_all(program);
  EXPECT_THAT(*completion_script(program.app(), "zsh"),
              AllOf(HasSubstr("#compdef selfbuild"), HasSubstr("'update:")));
  EXPECT_THAT(*completion_script(program.app(), "fish"),
              AllOf(HasSubstr("complete -c selfbuild -n '__fish_use_subcommand' -a update"),
                    HasSubstr("__fish_seen_subcommand_from history' -l limit -x")));
  EXPECT_FALSE(completion_script(program.app(), "tcsh").has_value());
}

}  // namespace
}  // namespace sb::tool
