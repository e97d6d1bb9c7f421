// The help page of every command, to the letter, and at most 80 columns wide.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "command_line.h"
#include "support/golden.h"
#include "tool/selfbuild/manual.h"
#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

using testing::HasSubstr;

constexpr std::size_t kCommands = 27;

class Help : public testing::Test {
 protected:
  Help() { tests::add_all(program); }
  Program program;
};

void expect_fits(const std::string& page, const std::string& name) {
  for (const std::string_view line : split_lines(page)) {
    EXPECT_LE(width_of(line), 80) << name << ": " << line;
  }
}

TEST_F(Help, has_a_page_for_each_of_the_commands) {
  ASSERT_EQ(program.manuals().size(), kCommands);
  for (const auto& [name, manual] : program.manuals()) {
    const std::string page = program.help_page(name);
    sb::tests::expect_golden("help/" + name + ".txt", page);
    expect_fits(page, name);
  }
}

TEST_F(Help, overview_names_every_command) {
  const std::string page = program.overview();
  sb::tests::expect_golden("help/overview.txt", page);
  expect_fits(page, "overview");
  for (const auto& [name, manual] : program.manuals()) EXPECT_THAT(page, HasSubstr("\n  " + name + " "));
}

TEST_F(Help, every_page_has_a_sentence_examples_what_changes_and_exit_codes) {
  for (const auto& [name, manual] : program.manuals()) {
    EXPECT_THAT(manual.sentence, testing::EndsWith(".")) << name;
    EXPECT_FALSE(manual.examples.empty()) << name;
    EXPECT_FALSE(manual.changes.empty()) << name;
    EXPECT_THAT(manual.exits, testing::Contains(kDone)) << name;
    for (const int code : manual.exits) EXPECT_NE(exit_meaning(code), "") << name << " " << code;
    for (const auto& [line, meaning] : manual.examples) EXPECT_THAT(line, HasSubstr("selfbuild")) << name;
  }
}

TEST(HelpCommand, prints_what_the_option_prints) {
  const tests::CommandLine line;
  const tests::Ran by_command = line.run({"help", "gc"});
  const tests::Ran by_option = line.run({"gc", "--help"});
  EXPECT_EQ(by_command.code, kDone) << by_command.err;
  EXPECT_EQ(by_command.out, by_option.out);
  EXPECT_EQ(line.run({"help"}).out, line.run({"--help"}).out);
}

TEST(HelpCommand, wins_over_what_is_missing) {
  const tests::CommandLine line;
  const tests::Ran ran = line.run({"show", "--help"});
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("usage: selfbuild show VERSION"));
}

}  // namespace
}  // namespace sb::tool
