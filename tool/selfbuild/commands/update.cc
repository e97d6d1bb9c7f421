// selfbuild update: stage, build, test, probe, swap, verify; or say why not.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tool/selfbuild/follow.h"
#include "tool/selfbuild/rollout_options.h"
#include "tool/selfbuild/submit.h"
#include "update/known_tree.h"
#include "update/live.h"

namespace sb::tool {
namespace {

struct Options {
  std::string revision = "HEAD";
  std::string patch;
  int jobs = 0;
  bool dry_run = false;
  bool detach = false;
  bool timings = false;
  RolloutOptions rollout;
};

using update::KnownTree;

// What an update would do about a tree, as --json has it.
const char* would(KnownTree::Answer answer) {
  switch (answer) {
    case KnownTree::Answer::build:
      return "build";
    case KnownTree::Answer::live:
      return "do nothing";
    case KnownTree::Answer::swap_in:
      return "take from history";
    case KnownTree::Answer::refuse:
      return "refuse";
  }
  return "build";
}

std::string swap_word(const supervise::ServiceSpec& service) {
  return service.swap == supervise::SwapMode::overlap ? "overlap" : "drain-first";
}

std::string name_of(const history::Version& version) {
  return history::version_name(version.number);
}

// What would be done, without doing it: the patch is applied in the object database, under a reference that
// goes away again.
Result<int> show_plan(Program& program, Subject& subject, const std::optional<PatchFile>& patch) {
  constexpr std::int64_t kNoCycle = 0;
  staging::Source source = subject.source;
  if (patch) {
    SB_TRY(source, doing("applying " + patch->name,
                         subject.repository.apply_patch(subject.source, patch->text, kNoCycle)));
    SB_CHECK(subject.repository.forget(kNoCycle));
  }
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  SB_TRY(const KnownTree known, update::look_up_tree(*home, *past, subject.project.name, source.tree));
  SB_TRY(const auto live, update::live_version(*home, subject.project.name));
  Json services = Json::array();
  std::string swaps;
  for (const supervise::ServiceSpec& service : subject.project.services) {
    services.push_back({{"name", service.name}, {"swap", swap_word(service)}});
    swaps += fmt::format("  swap      {} ({})\n", service.name, swap_word(service));
  }
  if (program.json()) {
    Console::json({{"project", subject.project.name},
                   {"commit", subject.source.commit},
                   {"tree", source.tree},
                   {"patch", patch ? Json(patch->name) : Json(nullptr)},
                   {"live", live ? Json(history::version_name(*live)) : Json(nullptr)},
                   {"would", would(known.answer)},
                   {"known_version",
                    known.version ? Json(history::version_name(known.version->number)) : Json(nullptr)},
                   {"preset", subject.project.build.preset},
                   {"targets", subject.project.build.targets},
                   {"outputs", subject.project.build.outputs},
                   {"services", std::move(services)}});
    return kDone;
  }
  Console::data(fmt::format("Nothing was changed. An update of {} would\n", subject.project.name));
  switch (known.answer) {
    case KnownTree::Answer::live:
      Console::data(fmt::format("  build     nothing: this tree is {} already\n", name_of(*known.version)));
      break;
    case KnownTree::Answer::refuse:
      Console::data(fmt::format("  refuse    {}\n", update::refusal_of(*known.version).what));
      break;
    case KnownTree::Answer::swap_in:
      Console::data(fmt::format("  build     nothing: this tree is {}, which is taken from history\n",
                                name_of(*known.version)) +
                    swaps);
      break;
    case KnownTree::Answer::build:
      Console::data(fmt::format("  stage     {:.10} {}{}\n", subject.source.commit, subject.source.summary,
                                patch ? " with " + patch->name : ""));
      Console::data(fmt::format("  build     {}\n", subject.project.build.preset.empty()
                                                        ? "with the options of selfbuild.yaml"
                                                        : "preset " + subject.project.build.preset));
      Console::data("  test      in the sandbox\n  probe     the candidate, on sockets of its own\n" + swaps);
      break;
  }
  Console::data(live ? fmt::format("{} is live.\n", history::version_name(*live)) : "No version is live.\n");
  return kDone;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(Subject subject, resolve_subject(program, options.revision));
  std::optional<PatchFile> patch;
  if (!options.patch.empty()) {
    SB_TRY(patch, read_patch(program, options.patch));
  }
  // As the commit says it: a patch does not decide how carefully it goes into service.
  SB_TRY(const Json rollout, rollout_json(options.rollout, subject.project.rollout));
  if (options.dry_run) return show_plan(program, subject, patch);
  SB_TRY(const std::int64_t cycle, submit_update(program, subject, patch, options.jobs, rollout, caller()));
  if (!options.detach) return follow(program, cycle, {.timings = options.timings});
  if (program.json()) {
    Console::json({{"cycle", history::cycle_name(cycle)}});
  } else {
    Console::data(history::cycle_name(cycle) + "\n");
  }
  return kDone;
}

}  // namespace

void add_update(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "update", "Update",
      {.sentence = "Build a revision, prove it, put it into service, and go back when it was wrong.",
       .examples =
           {{"selfbuild update", "the commit that HEAD names"},
            {"selfbuild update v2.1", "any revision that git understands"},
            {"selfbuild update --patch fix.patch", "HEAD with a patch on top (git diff or git format-patch)"},
            {"selfbuild update --canary 5,25 --bake 60s",
             "first for 5%, then for 25% of new connections; then for all, with the old version alive for a "
             "minute; selfbuild.yaml may say so for each update"},
            {"selfbuild update --detach",
             "print the cycle and return; watch it with selfbuild status --watch"}},
       .changes = "a stage in the cache, refs/selfbuild/ in the repository, a version in the store, the "
                  "pointer; never "
                  "your checkout, index or branches",
       .exits = {kDone, kRefused, kUsage, kRolledBack, kUnavailable, kInterrupted}},
      [&program, options] { return run(program, *options); });
  command.add_option("REV", options->revision, "The revision to build")->capture_default_str();
  add_patch_option(command, options->patch);
  add_rollout_options(command, options->rollout, "as selfbuild.yaml says, or ");
  command.add_option("--jobs", options->jobs, "How many compilers at once; 0 lets Ninja decide")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_flag("--dry-run", options->dry_run, "Say what would be done, and change nothing");
  command.add_flag("--detach", options->detach, "Return at once; the worker goes on");
  command.add_flag("--timings", options->timings, "Show where the time went");
  program.add_json_option(command);
}

}  // namespace sb::tool
