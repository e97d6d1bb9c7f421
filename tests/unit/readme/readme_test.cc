// The README must stay true: its commands, options, exit codes, files and its example are those of this tree.
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "project/project_file.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/result_matchers.h"
#include "tool/command_line.h"
#include "tool/selfbuild/manual.h"

namespace sb::tool {
namespace {

using testing::HasSubstr;

const std::filesystem::path& source() {
  static const std::filesystem::path kFolder = SELFBUILD_SOURCE_DIR;
  return kFolder;
}

// The fenced blocks that begin with this line: "```" for what a reader types, "```yaml" for the example.
std::vector<std::string> blocks(std::string_view opening) {
  std::vector<std::string> found;
  bool inside = false;
  bool wanted = false;
  const std::string readme = sb::tests::read(source() / "README.md");
  for (const std::string_view line : split_lines(readme)) {
    if (line.starts_with("```")) {
      inside = !inside;
      wanted = inside && line == opening;
      if (wanted) found.emplace_back();
    } else if (wanted) {
      found.back() += std::string(line) + "\n";
    }
  }
  return found;
}

// Single commands, without remarks: "a && b   # why" is two.
std::vector<std::string> commands() {
  std::vector<std::string> found;
  for (const std::string& block : blocks("```")) {
    if (block.starts_with(" ")) continue;  // the picture
    for (std::string_view line : split_lines(block)) {
      line = line.substr(0, line.find(" #"));
      while (!line.empty()) {
        const std::size_t end = line.find("&&");
        if (const std::string_view one = trim(line.substr(0, end)); !one.empty()) found.emplace_back(one);
        line = end == std::string_view::npos ? std::string_view() : line.substr(end + 2);
      }
    }
  }
  return found;
}

std::vector<std::string> words_of(const std::string& command) {
  std::istringstream in(command);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

TEST(Readme, commands_are_those_that_were_accepted) {
  sb::tests::expect_golden("readme/commands.txt", join(commands(), "\n") + "\n");
}

TEST(Readme, every_selfbuild_command_and_option_exists) {
  Program program;
  tests::add_all(program);
  int seen = 0;
  for (const std::string& command : commands()) {
    const std::vector<std::string> words = words_of(command);
    if (words.front() != "selfbuild") continue;
    ++seen;
    ASSERT_GE(words.size(), 2U) << command;
    bool known = false;
    for (const auto& [name, manual] : program.manuals()) known = known || name == words[1];
    ASSERT_TRUE(known) << command;
    const std::string page = program.help_page(words[1]);
    for (const std::string& word : words) {
      if (word.starts_with("--")) {
        EXPECT_THAT(page, HasSubstr(word)) << command;
      }
    }
  }
  EXPECT_GE(seen, 7);
}

TEST(Readme, every_script_it_names_can_be_run) {
  int seen = 0;
  for (const std::string& command : commands()) {
    std::string script = words_of(command).front();
    if (script.starts_with("./")) script.erase(0, 2);
    if (!script.starts_with("ci/")) continue;
    ++seen;
    const auto mode = std::filesystem::status(source() / script).permissions();
    EXPECT_NE(mode & std::filesystem::perms::owner_exec, std::filesystem::perms::none) << script;
  }
  EXPECT_GE(seen, 3);
}

TEST(Readme, exit_codes_are_those_of_the_program) {
  const std::string readme = sb::tests::read(source() / "README.md");
  for (const int code : {kDone, kRefused, kUsage, kRolledBack, kUnavailable, kBusy, kBug, kInterrupted}) {
    EXPECT_THAT(readme,
                HasSubstr("| " + std::to_string(code) + " | " + std::string(exit_meaning(code)) + " |"));
  }
}

TEST(Readme, example_is_a_valid_project_file) {
  const std::vector<std::string> examples = blocks("```yaml");
  ASSERT_EQ(examples.size(), 1U);
  ASSERT_OK(const project::ProjectFile file, project::parse_project_file(examples.front(), "README.md"));
  EXPECT_EQ(file.name, "hello");
  EXPECT_EQ(file.services.size(), 1U);
}

TEST(Readme, links_lead_somewhere) {
  const std::string readme = sb::tests::read(source() / "README.md");
  int seen = 0;
  for (std::size_t at = readme.find("]("); at != std::string::npos; at = readme.find("](", at + 1)) {
    const std::string target = readme.substr(at + 2, readme.find(')', at) - at - 2);
    if (target.starts_with("http")) continue;
    ++seen;
    EXPECT_TRUE(std::filesystem::exists(source() / target)) << target;
  }
  EXPECT_GE(seen, 5);
}

}  // namespace
}  // namespace sb::tool
