#include "tool/selfbuild/manual.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "tool/selfbuild/table.h"

namespace sb::tool {
namespace {

// Pages are as wide everywhere: they are read in mails and logs, too, and a golden test holds every line of
// them.
constexpr int kColumns = 80;
constexpr int kLeft = 26;

std::string left_column(const CLI::Option& option) {
  if (!option.nonpositional()) {
    const std::string name = option.get_name(true);
    return option.get_required() ? name : fmt::format("[{}]", name);
  }
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  std::string text = join(names, ", ");
  // CLI11 appends its validators to the type: "N:INT in [1 - 9]".
  const std::string type = option.get_type_name().substr(0, option.get_type_name().find(':'));
  if (option.get_type_size() != 0 && !type.empty()) text += " " + type;
  return text;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string usage_line(const CLI::App& command) {
  std::string line = "selfbuild " + command.get_name();
  if (!commands_of(command).empty()) line += " COMMAND";
  for (const CLI::Option* option : command.get_options()) {
    if (!option->nonpositional()) line += " " + left_column(*option);
  }
  return line + " [options]";
}

// A word and what it means. A long word has its line for itself.
std::string entry(int indent, const std::string& word, const std::string& meaning) {
  const std::string blanks(static_cast<std::size_t>(indent), ' ');
  if (meaning.empty()) return fmt::format("{}{}\n", blanks, word);
  const std::string label = fmt::format("{}{:<{}}", blanks, word, kLeft - indent);
  if (width_of(blanks + word) + 2 <= kLeft) return paragraph(label, meaning, kColumns);
  return fmt::format("{}{}\n{}", blanks, word, paragraph(std::string(kLeft, ' '), meaning, kColumns));
}

// Positionals first, --help last.
std::vector<const CLI::Option*> in_reading_order(const CLI::App& command) {
  std::vector<const CLI::Option*> options;
  for (const int place : {0, 1, 2}) {
    for (const CLI::Option* option : command.get_options()) {
      const int own = !option->nonpositional() ? 0 : option->check_lname("help") ? 2 : 1;
      if (own == place) options.push_back(option);
    }
  }
  return options;
}

std::string option_lines(const CLI::App& command, int indent) {
  std::string text;
  for (const CLI::Option* option : in_reading_order(command)) {
    // Every page would say it of every subcommand again.
    if (indent > 2 && option->check_lname("help")) continue;
    std::string meaning = option->get_description();
    const std::string standard = option->get_default_str();
    if (!standard.empty() && standard != "\"\"") meaning += fmt::format(" (default: {})", standard);
    text += entry(indent, left_column(*option), meaning);
  }
  return text;
}

std::string exit_lines(const std::vector<int>& codes) {
  std::string text;
  for (const int code : codes) text += fmt::format("  {:<5}{}\n", code, exit_meaning(code));
  return text;
}

}  // namespace

std::string_view exit_meaning(int code) {
  switch (code) {
    case kDone:
      return "done";
    case kRefused:
      return "refused or failed; the live version is untouched";
    case kUsage:
      return "wrong usage";
    case kRolledBack:
      return "swapped and rolled back";
    case kUnavailable:
      return "the conductor or the host is not available";
    case kBusy:
      return "another cycle is running";
    case kBug:
      return "a bug in selfbuild";
    case kInterrupted:
      return "interrupted";
    default:
      return "";
  }
}

std::string format_manual(const CLI::App& command, const Manual& manual) {
  std::string text = paragraph("", manual.sentence, kColumns);
  text += '\n' + paragraph("usage: ", usage_line(command), kColumns);
  if (!manual.examples.empty()) {
    text += "\nexamples:\n";
    for (const auto& [line, meaning] : manual.examples) {
      text += fmt::format("  {}\n", line);
      if (!meaning.empty()) text += paragraph("      ", meaning, kColumns);
    }
  }
  if (!commands_of(command).empty()) {
    text += "\ncommands:\n";
    for (const CLI::App* sub : commands_of(command)) {
      text += entry(2, sub->get_name(), sub->get_description());
      text += option_lines(*sub, 4);
    }
  }
  text += "\noptions:\n" + option_lines(command, 2);
  text += "\nchanges on disk:\n" + paragraph("  ", manual.changes, kColumns);
  text += "\nexit codes:\n" + exit_lines(manual.exits);
  return text;
}

std::string format_overview(const CLI::App& app) {
  std::string text =
      paragraph("",
                "selfbuild rebuilds a C++ program from changed source, proves the new build, puts it "
                "into service without dropping a request, and goes back when it was wrong.",
                kColumns);
  text += "\nusage: selfbuild COMMAND [options]\n";
  std::vector<std::string> groups;
  for (const CLI::App* command : commands_of(app)) {
    if (std::ranges::find(groups, command->get_group()) == groups.end())
      groups.push_back(command->get_group());
  }
  for (const std::string& group : groups) {
    text += fmt::format("\n{}:\n", group);
    for (const CLI::App* command : commands_of(app)) {
      if (command->get_group() != group) continue;
      text += paragraph(fmt::format("  {:<13}", command->get_name()), command->get_description(), kColumns);
    }
  }
  text += "\noptions:\n" + option_lines(app, 2);
  text += "\nexit codes:\n" +
          exit_lines({kDone, kRefused, kUsage, kRolledBack, kUnavailable, kBusy, kBug, kInterrupted});
  text += "\nnext:\n  selfbuild help update\n";
  return text;
}

}  // namespace sb::tool
