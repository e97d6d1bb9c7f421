#include "tool/selfbuild/rollout_options.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::tool {
namespace {

using std::chrono::milliseconds;

Result<milliseconds> duration(const std::string& text, milliseconds usual, const char* option) {
  if (text.empty()) return usual;
  return doing(std::string("reading ") + option, parse_duration(text));
}

}  // namespace

void add_rollout_options(CLI::App& command, RolloutOptions& options, const std::string& otherwise) {
  command
      .add_option("--canary", options.canary,
                  "Steps in percent of new connections; each is compared with the live version")
      ->delimiter(',')
      ->type_name("N,N,...");
  command
      .add_option("--canary-step", options.canary_step,
                  "How long each of them lasts (default: " + otherwise + "5s)")
      ->type_name("TIME");
  command
      .add_option(
          "--bake", options.bake,
          "Keep the old version alive and idle for so long after the switch (default: " + otherwise + "0s)")
      ->type_name("TIME");
}

Result<Json> rollout_json(const RolloutOptions& options, const project::Rollout& usual) {
  const std::vector<int>& canary = options.canary.empty() ? usual.canary : options.canary;
  int least = 1;
  for (const int percent : canary) {
    if (percent < least || percent > 99)
      return fail(ErrorKind::usage, "the steps of a canary are percentages that ascend from 1 to 99");
    least = percent + 1;
  }
  SB_TRY(const milliseconds step, duration(options.canary_step, usual.canary_step, "--canary-step"));
  SB_TRY(const milliseconds bake, duration(options.bake, usual.bake, "--bake"));
  return Json{{"canary", canary}, {"canary_step_ms", step.count()}, {"bake_ms", bake.count()}};
}

}  // namespace sb::tool
