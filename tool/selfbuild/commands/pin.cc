// selfbuild pin, unpin: whether updates may move a service to another version; mark-good: a version may be
// gone back to.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/command.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/submit.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

struct Options {
  std::string subject;  // a service, or a version
  std::string project;
};

Result<Json> ask(Program& program, const std::string& method, Json params) {
  SB_TRY(const os::Home* home, program.home());
  update::ConductorLink conductor(*home);
  SB_CHECK(conductor.start_if_needed());
  params["by"] = caller();
  return conductor.call_once(method, params);
}

Result<int> set_pin(Program& program, const Options& options, bool pinned) {
  Json params = Json::object();
  if (options.subject.empty()) {
    SB_TRY(params["project"], program.project_name(options.project));
  } else {
    params["name"] = options.subject;
  }
  SB_TRY(const Json answer, ask(program, pinned ? "service.pin" : "service.unpin", params));
  Json services = Json::array();
  for (const Json& service : answer.value("services", Json::array())) {
    SB_TRY(const std::string name, json_string(service, "name"));
    SB_TRY(const long long version, json_integer(service, "version"));
    const std::string number = history::version_name(static_cast<int>(version));
    services.push_back({{"service", name}, {"version", number}, {"pin", service.value("pin", "")}});
    if (program.json()) continue;
    Console::data(pinned ? fmt::format("{} stays at {} until selfbuild unpin {}.\n", name, number, name)
                         : fmt::format("{}, which is at {}, may be updated.\n", name, number));
  }
  if (program.json()) Console::json({{"services", services}});
  return kDone;
}

Result<int> mark_good(Program& program, const Options& options) {
  SB_TRY(const int number, history::parse_version(options.subject));
  SB_TRY(const std::string project, program.project_name(options.project));
  SB_TRY(const Json answer, ask(program, "version.mark_good", {{"project", project}, {"version", number}}));
  const std::string was = answer.value("was", "");
  if (program.json()) {
    Console::json({{"project", project}, {"version", history::version_name(number)}, {"was", was}});
  } else {
    Console::data(fmt::format("{} of {} is known to be good now; it was {}.\n", history::version_name(number),
                              project, words(was)));
  }
  return kDone;
}

void add_one(Program& program, const std::string& name, const Manual& manual, const std::string& subject,
             const std::string& help, Result<int> (*act)(Program&, const Options&)) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      program.add(name, "Update", manual, [&program, options, act] { return act(program, *options); });
  CLI::Option* const named = command.add_option(subject, options->subject, help)->type_name("");
  if (subject == "VERSION") named->required();
  command.add_option("--project", options->project, "The project (default: the one around this folder)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace

void add_pin(Program& program) {
  const std::vector<int> exits{kDone, kRefused, kUsage, kUnavailable};
  const std::string which = "The service (default: all of the project)";
  add_one(program, "pin",
          {.sentence = "Keep a service at the version that is live: updates are refused.",
           .examples = {{"selfbuild pin", "all services of the project around the current folder"},
                        {"selfbuild pin web", "that one"}},
           .changes = "a mark on the service",
           .exits = exits},
          "SERVICE", which, [](Program& one, const Options& options) { return set_pin(one, options, true); });
  add_one(program, "unpin",
          {.sentence = "Let a service be updated again that is pinned, or frozen since it was taken back.",
           .examples = {{"selfbuild unpin web", "after selfbuild pin web"}},
           .changes = "the mark on the service",
           .exits = exits},
          "SERVICE", which,
          [](Program& one, const Options& options) { return set_pin(one, options, false); });
  add_one(program, "mark-good",
          {.sentence = "Say that a version is good: it may be gone back to, also automatically.",
           .examples = {{"selfbuild mark-good v3", "whatever history says of it"}},
           .changes = "the version's state in history",
           .exits = exits},
          "VERSION", "The version, like v3", mark_good);
}

}  // namespace sb::tool
