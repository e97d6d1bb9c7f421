#include "tool/selfbuild/usage_error.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/suggestion.h"
#include "base/text.h"

namespace sb::tool {
namespace {

std::vector<std::string> command_names(const CLI::App& level) {
  std::vector<std::string> names;
  for (const CLI::App* command : level.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> option_names(const CLI::App& level) {
  std::vector<std::string> names;
  for (const CLI::Option* option : level.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string suggested(const std::string& word, const std::vector<std::string>& names) {
  const auto near = nearest(word, names);
  return near ? fmt::format("; did you mean {}?", *near) : "";
}

// Follows the words down the tree of commands, as far as they are known.
struct Walk {
  const CLI::App* command;  // the deepest command that was named
  std::string path;         // "selfbuild conductor stop"
  std::string problem;      // about the first word that is not known there; empty when all are

  Walk(const CLI::App& app, const std::vector<std::string>& words) : command(&app), path("selfbuild") {
    for (std::size_t i = 0; i < words.size() && problem.empty(); ++i) {
      if (words[i].starts_with('-') && words[i].size() > 1) {
        i += take_option(app, words[i]);
      } else {
        take_word(words[i]);
      }
    }
  }

 private:
  // How many words the option's value takes beyond its own.
  std::size_t take_option(const CLI::App& app, const std::string& word) {
    const std::string bare = word.substr(0, word.find('='));
    for (const CLI::App* level : {command, &app}) {
      for (const CLI::Option* option : level->get_options()) {
        if (option->nonpositional() && option->check_name(bare)) {
          return option->get_type_size() != 0 && bare == word ? 1 : 0;
        }
      }
    }
    // "-C/srv" and "-hC": short options that carry more; CLI11 knows them, we do not judge.
    if (!bare.starts_with("--") && bare.size() > 2) return 0;
    std::vector<std::string> names = option_names(*command);
    if (command != &app) std::ranges::copy(option_names(app), std::back_inserter(names));
    problem = fmt::format("{} has no option {}{}", path, bare, suggested(bare, names));
    return 0;
  }

  void take_word(const std::string& word) {
    const auto known = command->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
    if (!known.empty()) {
      command = known.front();
      path += ' ' + word;
      return;
    }
    const std::vector<std::string> names = command_names(*command);
    if (!names.empty()) problem = fmt::format("{} has no command {}{}", path, word, suggested(word, names));
  }
};

}  // namespace

Error usage_error(const CLI::App& app, const CLI::ParseError& problem,
                  const std::vector<std::string>& words) {
  const Walk walk(app, words);
  const bool unknown_word = dynamic_cast<const CLI::ExtrasError*>(&problem) != nullptr ||
                            dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr;
  Error error = make_error(ErrorKind::usage, walk.problem);
  if (walk.problem.empty() || !unknown_word) {
    const std::vector<std::string> names = command_names(*walk.command);
    if (!names.empty() && dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr) {
      error.what = fmt::format("{} needs one of its commands: {}", walk.path, join(names, ", "));
    } else {
      error.what = fmt::format("{}: {}", walk.path, trim(problem.what()));
      while (error.what.ends_with('.')) error.what.pop_back();
    }
  }
  const auto named = app.get_subcommands();
  error.next = named.empty() ? "selfbuild help" : "selfbuild help " + named.front()->get_name();
  return error;
}

}  // namespace sb::tool
