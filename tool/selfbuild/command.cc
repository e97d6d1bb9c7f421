#include "tool/selfbuild/command.h"

#include <fmt/format.h>

#include "base/suggestion.h"
#include "base/text.h"
#include "os/file_system.h"
#include "tool/selfbuild/manual.h"
#include "tool/selfbuild/usage_error.h"

namespace sb::tool {
int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return kUsage;
    case ErrorKind::environment:
      return kUnavailable;
    case ErrorKind::bug:
      return kBug;
    case ErrorKind::interrupted:
      return kInterrupted;
    default:
      return kRefused;
  }
}

Program::Program() {
  app_.set_help_flag();
  app_.set_version_flag("--version", "selfbuild " SELFBUILD_VERSION, "Print the version");
  app_.add_option("-C,--directory", directory_, "Act as if started in this folder")->type_name("DIR");
  app_.add_flag("-h,--help", help_, "Show this page");
  app_.require_subcommand(0, 1);
  app_.fallthrough();
}

CLI::App& Program::add(const std::string& name, const std::string& group, Manual manual, Action action) {
  CLI::App* command = app_.add_subcommand(name, manual.sentence);
  command->group(group);
  command->set_help_flag();
  command->add_flag("-h,--help", help_, "Show this page");
  command->callback([this, action = std::move(action)] { chosen_ = action; });
  manuals_.emplace_back(name, std::move(manual));
  return *command;
}

void Program::add_json_option(CLI::App& command) {
  command.add_flag("--json", json_, "Print JSON for machines; every key is always there");
}

int Program::run(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    Console::data("selfbuild " SELFBUILD_VERSION "\n");
    return kDone;
  } catch (const CLI::ParseError& problem) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    // "--help" wins over what is missing.
    if (std::ranges::any_of(words,
                            [](const std::string& word) { return word == "--help" || word == "-h"; })) {
      const auto parsed = app_.get_subcommands();
      Console::data(parsed.empty() ? overview() : help_page(parsed.front()->get_name()));
      return kDone;
    }
    Console::error(usage_error(app_, problem, words));
    return kUsage;
  }
  const auto parsed = app_.get_subcommands();
  if (parsed.empty()) {
    Console::data(overview());
    return help_ ? kDone : kUsage;
  }
  if (help_) {
    Console::data(help_page(parsed.front()->get_name()));
    return kDone;
  }
  const Result<int> code = chosen_();
  if (code) return *code;
  Console::error(code.error());
  return exit_code_of(code.error().kind);
}

std::filesystem::path Program::directory() const {
  return directory_.empty() ? std::filesystem::current_path() : std::filesystem::absolute(directory_);
}

Result<const os::Home*> Program::home() {
  if (!home_) {
    SB_TRY(os::Home opened, os::Home::from_environment());
    home_ = std::move(opened);
  }
  return &*home_;
}

Result<history::History*> Program::history() {
  if (!history_) {
    SB_TRY(const os::Home* where, home());
    SB_TRY(history::History opened, history::History::open(where->database(), clock_));
    history_.emplace(std::move(opened));
  }
  return &*history_;
}

Result<Program::Project> Program::project() const {
  SB_TRY(std::filesystem::path root, project::find_project(directory()));
  const std::filesystem::path path = root / project::kFileName;
  SB_TRY(const std::string text, os::read_file(path));
  SB_TRY(project::ProjectFile file, project::parse_project_file(text, std::string(project::kFileName)));
  return Project{.root = std::move(root), .file = std::move(file)};
}

Result<std::string> Program::project_name(const std::string& given) {
  SB_TRY(history::History * past, history());
  SB_TRY(const std::vector<std::string> known, past->projects());
  if (!given.empty()) {
    if (std::ranges::find(known, given) != known.end()) return given;
    const auto near = nearest(given, known);
    return fail(ErrorKind::not_found,
                fmt::format("no project {}{}", given, near ? fmt::format("; did you mean {}?", *near) : ""),
                "selfbuild status");
  }
  const Result<Project> here = project();
  if (here) return here->file.name;
  if (here.error().kind != ErrorKind::not_found) return fail(here.error());
  if (known.size() == 1) return known.front();
  if (known.empty()) return fail(here.error());
  return fail(ErrorKind::usage, fmt::format("which project? There are {}", join(known, ", ")),
              "selfbuild <command> --project " + known.front());
}

std::string Program::help_page(const std::string& command) {
  for (const auto& [name, manual] : manuals_) {
    if (name == command) return format_manual(*app_.get_subcommand(name), manual);
  }
  return {};
}

std::string Program::overview() {
  return format_overview(app_);
}

}  // namespace sb::tool
