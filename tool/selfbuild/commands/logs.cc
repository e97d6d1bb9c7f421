// selfbuild logs: what services print, from all of their versions and across the rotation of their logs.
#include <algorithm>
#include <chrono>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/suggestion.h"
#include "base/text.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/held_signals.h"
#include "tool/selfbuild/log_tail.h"

namespace sb::tool {
namespace {

constexpr std::chrono::milliseconds kPoll{100};

struct Options {
  std::string service;
  std::size_t lines = 20;
  bool follow = false;
};

std::vector<std::string> logged_services(const os::Home& home) {
  std::vector<std::string> names;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(home.state() / "services", code)) {
    if (std::filesystem::exists(entry.path() / "log", code))
      names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

// One that does not exist yet can be followed: it may be about to be started.
Result<std::vector<std::string>> chosen(const os::Home& home, const Options& options) {
  std::vector<std::string> known = logged_services(home);
  if (options.service.empty()) {
    if (!known.empty()) return known;
    return fail(ErrorKind::not_found, "no service has printed anything yet", "selfbuild status");
  }
  if (std::ranges::find(known, options.service) != known.end()) return std::vector{options.service};
  const std::optional<std::string> meant = nearest(options.service, known);
  return fail(ErrorKind::not_found,
              fmt::format("no service named \"{}\" has printed anything{}", options.service,
                          meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""),
              "selfbuild status");
}

// Several services share the screen by a label before each line; one alone is printed as it is.
void print(const std::string& text, const std::string& label) {
  if (label.empty()) return Console::data(text);
  std::string labelled;
  for (const std::string_view line : split_lines(text)) labelled += fmt::format("{}  {}\n", label, line);
  Console::data(labelled);
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(const std::vector<std::string> names, chosen(*home, options));
  std::size_t width = 0;
  for (const std::string& name : names) width = std::max(width, name.size());
  std::map<std::string, LogTail> tails;
  Json all = Json::array();
  for (const std::string& name : names) {
    LogTail& tail = tails.emplace(name, home->service(name)).first->second;
    const std::string text = tail.last(options.lines);
    if (program.json()) {
      all.push_back({{"service", name}, {"path", (home->service(name) / "log").string()}, {"log", text}});
    } else {
      print(text, names.size() > 1 ? fmt::format("{:<{}}", name, width) : "");
    }
  }
  if (program.json()) Console::json(all);
  if (!options.follow) return kDone;
  const HeldSignals signals;
  while (!signals.came(kPoll)) {
    for (auto& [name, tail] : tails) {
      const std::string text = tail.next();
      if (!text.empty()) print(text, names.size() > 1 ? fmt::format("{:<{}}", name, width) : "");
    }
  }
  return kInterrupted;
}

}  // namespace

void add_logs(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "logs", "Look",
      {.sentence = "Print what services said last, whatever version they are of.",
       .examples = {{"selfbuild logs", "the last lines of each service"},
                    {"selfbuild logs -f hello",
                     "of one, and what comes, across swaps and rotation, until Ctrl-C"},
                    {"selfbuild log", "of a cycle instead: what CMake, Ninja and the tests said"}},
       .changes = "nothing",
       .exits = {kDone, kRefused, kUsage, kUnavailable, kInterrupted}},
      [&program, options] { return run(program, *options); });
  command.add_option("SERVICE", options->service, "A service (default: each)")->type_name("");
  CLI::Option* follow =
      command.add_flag("-f,--follow", options->follow, "Go on with what comes, until Ctrl-C");
  command.add_option("-n,--lines", options->lines, "How many lines of what there is")
      ->capture_default_str()
      ->type_name("N");
  program.add_json_option(command);
  command.get_option("--json")->excludes(follow);
}

}  // namespace sb::tool
