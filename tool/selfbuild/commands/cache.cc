// selfbuild cache stats|why-miss|explain|verify|prune: what was ever built, and what comes of it.
#include <algorithm>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/suggestion.h"
#include "base/text.h"
#include "build/cached_build.h"
#include "build/progress_line.h"
#include "cache/upkeep.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/table.h"
#include "tool/selfbuild/workbench.h"
#include "update/cache_upkeep.h"

namespace sb::tool {
namespace {

struct Options {
  std::string chosen;
  std::string revision = "HEAD";
  std::string patch;
  std::string output;
  double gigabytes = 20;
};

Result<cache::ActionStore> open_store(const os::Home& home) {
  return cache::ActionStore::open(home.build_cache() / "actions.db");
}

artifacts::OutputPool pool_of(const os::Home& home) {
  return artifacts::OutputPool(home.build_cache() / "outputs");
}

std::string percent(int part, int whole) {
  return whole == 0 ? "-" : fmt::format("{}%", part * 100 / whole);
}

Result<int> stats(Program& program, const os::Home& home) {
  SB_TRY(cache::ActionStore store, open_store(home));
  SB_TRY(const cache::Holdings held, cache::holdings(store, pool_of(home)));
  SB_TRY(const std::vector<cache::BuildNote> builds, store.builds());
  int edges = 0;
  int hits = 0;
  for (const cache::BuildNote& build : builds) {
    edges += build.edges;
    hits += build.hits;
  }
  if (program.json()) {
    Console::json({{"results", held.results},
                   {"results_apart", held.apart},
                   {"objects", held.objects},
                   {"bytes", held.bytes},
                   {"builds", builds.size()},
                   {"edges", edges},
                   {"hits", hits},
                   {"folder", home.build_cache().string()}});
    return kDone;
  }
  Console::data(
      fmt::format("{} results, {} objects, {}\n", held.results, held.objects, human_bytes(held.bytes)));
  if (held.apart > 0)
    Console::data(fmt::format(
        "  {} of them only for the cycles that made them, until their changes are kept\n", held.apart));
  Console::data(fmt::format("the last {} builds: {} of {} edges from here ({})\n  in  {}\n", builds.size(),
                            hits, edges, percent(hits, edges), home.build_cache().string()));
  return kDone;
}

std::string_view word_for(cache::Verdict verdict) {
  switch (verdict) {
    case cache::Verdict::hit:
      return "cached";
    case cache::Verdict::miss:
      return "built";
    case cache::Verdict::waits:
      return "waits";
    case cache::Verdict::refused:
      return "never cached";
  }
  return "";
}

Json verdict_json(const cache::EdgeVerdict& edge) {
  return {{"output", edge.output}, {"verdict", word_for(edge.verdict)}, {"why", edge.why}};
}

Result<std::vector<cache::EdgeVerdict>> verdicts_of(Program& program, const Options& options) {
  SB_TRY(const Staged staged, stage_revision(program, options.revision, options.patch, 0));
  build::ProgressLine line(stderr, program.console().err_is_terminal, program.console().columns);
  auto verdicts =
      build::explain_edges(staged.request, [&](const build::Progress& progress) { line.update(progress); });
  line.finish();
  return verdicts;
}

// The edges that would run, by reason.
Result<int> why_miss(Program& program, const Options& options) {
  SB_TRY(const std::vector<cache::EdgeVerdict> verdicts, verdicts_of(program, options));
  Json list = Json::array();
  Table table({{"EDGE"}, {"IS"}});
  int hits = 0;
  for (const cache::EdgeVerdict& edge : verdicts) {
    list.push_back(verdict_json(edge));
    if (edge.verdict == cache::Verdict::hit) {
      ++hits;
    } else {
      table.add({edge.output, std::string(word_for(edge.verdict))}, edge.why);
    }
  }
  if (program.json()) {
    Console::json({{"edges", verdicts.size()}, {"hits", hits}, {"verdicts", std::move(list)}});
    return kDone;
  }
  if (!table.empty()) Console::data(table.render(0));
  Console::data(fmt::format("{} of {} edges would come from the cache\n", hits, verdicts.size()));
  return kDone;
}

Result<int> explain(Program& program, const Options& options) {
  SB_TRY(const std::vector<cache::EdgeVerdict> verdicts, verdicts_of(program, options));
  std::vector<std::string> names;
  for (const cache::EdgeVerdict& edge : verdicts) {
    names.push_back(edge.output);
    if (edge.output != options.output) continue;
    if (program.json()) {
      Console::json(verdict_json(edge));
    } else {
      Console::data(fmt::format("{}: {}\n", edge.output, word_for(edge.verdict)));
      if (!edge.why.empty()) Console::data(paragraph("  because ", edge.why, program.console().columns));
    }
    return kDone;
  }
  Error error = make_error(ErrorKind::not_found, fmt::format("no edge makes {}", options.output),
                           "selfbuild cache why-miss");
  if (const auto close = nearest(options.output, names)) error.expected = *close;
  error.found = options.output;
  return fail(std::move(error));
}

Result<int> verify(Program& program, const os::Home& home) {
  SB_TRY(const cache::Checked checked, cache::verify(pool_of(home)));
  if (program.json()) {
    Console::json({{"objects", checked.objects}, {"damaged", checked.damaged}});
  } else {
    Console::data(fmt::format("{} objects read, {} damaged{}\n", checked.objects, checked.damaged,
                              checked.damaged > 0 ? " and set aside: the next build makes them again" : ""));
  }
  return checked.damaged == 0 ? kDone : kRefused;
}

Result<int> prune(Program& program, const os::Home& home, const Options& options) {
  SB_TRY(history::History * past, program.history());
  const auto limit = static_cast<std::uint64_t>(options.gigabytes * 1024 * 1024 * 1024);
  SB_TRY(const cache::Pruned pruned, update::prune_cache(home, *past, limit, program.clock().unix_ms()));
  if (program.json()) {
    Console::json({{"results", pruned.results}, {"objects", pruned.objects}, {"freed_bytes", pruned.bytes}});
  } else {
    Console::data(fmt::format("removed {} results and {} objects, {}\n", pruned.results, pruned.objects,
                              human_bytes(pruned.bytes)));
  }
  return kDone;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  if (options.chosen == "stats") return stats(program, *home);
  if (options.chosen == "why-miss") return why_miss(program, options);
  if (options.chosen == "explain") return explain(program, options);
  if (options.chosen == "verify") return verify(program, *home);
  return prune(program, *home, options);
}

}  // namespace

void add_cache(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "cache", "Keep",
      {.sentence = "Look into the cache of what was ever built, verify it, make it smaller.",
       .examples = {{"selfbuild cache why-miss", "which edges of HEAD would run, and because of which file"},
                    {"selfbuild cache explain src/a.cc.o", "the same of one output"},
                    {"selfbuild cache prune --size 5", "down to 5 GiB"}},
       .changes =
           "why-miss and explain: a stage in the cache. verify: damaged objects are set aside. prune: the "
           "longest unused results go; what the last hour's builds and kept versions used stays.",
       .exits = {kDone, kRefused, kUsage, kUnavailable}},
      [&program, options] { return run(program, *options); });
  command.require_subcommand(1);
  const auto verb = [&](const char* name, const char* description) {
    CLI::App* sub = command.add_subcommand(name, description);
    sub->set_help_flag();
    sub->callback([options, name] { options->chosen = name; });
    return sub;
  };
  verb("stats", "Count results, objects, bytes, and what the last builds took from here");
  CLI::App* miss = verb(
      "why-miss", "List the edges of a revision that would run, and which file or what else is the reason");
  CLI::App* one = verb("explain", "Say of one output where it would come from, and why");
  one->add_option("OUTPUT", options->output, "As build.ninja names it")->required();
  for (CLI::App* sub : {miss, one}) {
    sub->add_option("REV", options->revision, "The revision to look at")->capture_default_str();
    add_patch_option(*sub, options->patch);
  }
  verb("verify", "Read every stored object, and set damaged ones aside");
  verb("prune", "Remove the longest unused results")
      ->add_option("--size", options->gigabytes, "How much may stay, in GiB")
      ->type_name("GIB")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  program.add_json_option(command);
}

}  // namespace sb::tool
