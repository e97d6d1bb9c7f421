// selfbuild pause, resume, abort: what a person says to the version that is being put into service.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/command.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/submit.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

struct Verb {
  const char* name;
  const char* sentence;
  const char* example;
  const char* said;  // of "v2 of hello (c-12)"
};

constexpr Verb kPause{
    .name = "pause",
    .sentence = "Hold the version that is being put into service at its present step.",
    .example = "it stays a canary, or bakes on, until you resume it; an ill one is still taken back",
    .said = "is held at step \"{}\""};
constexpr Verb kResume{.name = "resume",
                       .sentence = "Let a paused version go on to the next step.",
                       .example = "after selfbuild pause",
                       .said = "goes on from step \"{}\""};
constexpr Verb kAbort{
    .name = "abort",
    .sentence = "Stop putting a version into service: the one before stays live, or is again.",
    .example = "nothing is held against the version; it can be promoted again",
    .said = "is taken back from step \"{}\""};

Result<int> run(Program& program, const Verb& verb, const std::string& project) {
  SB_TRY(const os::Home* home, program.home());
  update::ConductorLink conductor(*home);
  SB_CHECK(conductor.start_if_needed());
  SB_TRY(const Json answer, conductor.call_once(fmt::format("activation.{}", verb.name),
                                                {{"by", caller()}, {"project", project}}));
  SB_TRY(const std::int64_t cycle, json_integer(answer, "cycle"));
  SB_TRY(const long long version, json_integer(answer, "version"));
  SB_TRY(const std::string step, json_string(answer, "step"));
  SB_TRY(const std::string name, json_string(answer, "project"));
  if (program.json()) {
    Console::json({{"cycle", history::cycle_name(cycle)},
                   {"project", name},
                   {"version", history::version_name(static_cast<int>(version))},
                   {"step", step},
                   {"paused", answer.value("paused", false)}});
  } else {
    Console::data(fmt::format("{} of {} ({}) {}.\n", history::version_name(static_cast<int>(version)), name,
                              history::cycle_name(cycle), fmt::format(fmt::runtime(verb.said), words(step))));
  }
  return kDone;
}

void add_verb(Program& program, const Verb& verb) {
  auto project = std::make_shared<std::string>();
  CLI::App& command = program.add(verb.name, "Update",
                                  {.sentence = verb.sentence,
                                   .examples = {{fmt::format("selfbuild {}", verb.name), verb.example}},
                                   .changes = "a row in the cycle's journal; abort also what is live",
                                   .exits = {kDone, kRefused, kUsage, kUnavailable}},
                                  [&program, &verb, project] { return run(program, verb, *project); });
  command.add_option("--project", *project, "Only when it is of this project (default: whatever it is)")
      ->type_name("NAME");
  program.add_json_option(command);
}

}  // namespace

void add_hold(Program& program) {
  for (const Verb* verb : {&kPause, &kResume, &kAbort}) add_verb(program, *verb);
}

}  // namespace sb::tool
