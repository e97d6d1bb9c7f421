// selfbuild gc: removes the files of old versions, logs of old cycles and, when asked, the stages. History
// stays.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "artifacts/object_store.h"
#include "base/text.h"
#include "os/file_system.h"
#include "tool/selfbuild/command.h"
#include "tool/selfbuild/garbage.h"
#include "tool/selfbuild/records.h"
#include "tool/selfbuild/table.h"
#include "tool/selfbuild/version_change.h"
#include "update/cache_upkeep.h"
#include "update/gc_lock.h"
#include "update/live.h"
#include "update/request.h"
#include "update/update_cycle.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  int keep = 10;
  bool dry_run = false;
  bool stages = false;
};

// What goes, by kind, with the bytes that it takes.
struct Garbage {
  struct Folder {
    fs::path path;
    std::uint64_t bytes;
  };
  std::vector<history::Version> versions;
  std::vector<history::Cycle> cycles;
  std::vector<Folder> version_folders;
  std::vector<Folder> logs;
  std::map<std::string, Folder> stages;             // by project
  std::map<std::string, std::string> repositories;  // by project
  artifacts::ObjectStore::Collected objects;
  cache::Pruned cached;
};

std::uint64_t sum(const std::vector<Garbage::Folder>& folders) {
  std::uint64_t bytes = 0;
  for (const Garbage::Folder& folder : folders) bytes += folder.bytes;
  return bytes;
}
std::uint64_t stage_bytes(const Garbage& garbage) {
  std::uint64_t bytes = 0;
  for (const auto& [project, folder] : garbage.stages) bytes += folder.bytes;
  return bytes;
}

Status find_in_project(const os::Home& home, history::History& past, const std::string& project,
                       const Options& options, Garbage& garbage) {
  SB_TRY(const std::optional<int> live, update::live_version(home, project));
  SB_TRY(const std::vector<history::Version> versions, past.versions(project));
  SB_TRY(const std::vector<history::Cycle> cycles, past.cycles(project, 1'000'000));
  const auto add = [](std::vector<Garbage::Folder>& list, const fs::path& path) {
    std::error_code code;
    if (fs::exists(path, code)) list.push_back({.path = path, .bytes = bytes_below(path)});
  };
  const std::optional<int> back = live ? version_before(cycles, versions, *live) : std::nullopt;
  const std::vector<history::Version> old = old_versions(versions, live, back, options.keep);
  for (const history::Version& version : old) {
    add(garbage.version_folders, home.version(project, version.number));
    garbage.versions.push_back(version);
  }
  for (const fs::path& path : leftovers(home.project(project) / "versions", versions, live))
    add(garbage.version_folders, path);
  for (const history::Cycle& cycle : old_cycles(cycles, versions, old, options.keep)) {
    const std::size_t before = garbage.logs.size();
    add(garbage.logs, home.cycle(cycle.id));
    if (garbage.logs.size() > before) garbage.cycles.push_back(cycle);
  }
  if (options.stages && fs::exists(home.stages(project))) {
    garbage.stages.emplace(project, Garbage::Folder{home.stages(project), bytes_below(home.stages(project))});
  }
  for (const history::Cycle& cycle : cycles) {
    const Result<update::Request> request = update::request_from_json(cycle.improvement_plan);
    if (!request || request->repository.empty()) continue;
    garbage.repositories.emplace(project, request->repository);
    break;
  }
  return {};
}

// An estimate for --dry-run: what only the old versions refer to. The collection itself also waits an hour.
Status count_objects(history::History& past, const std::vector<std::string>& projects, Garbage& garbage) {
  std::map<std::string, std::uint64_t> going;
  for (const history::Version& version : garbage.versions) {
    for (const history::OutputFile& file : version.outputs) going[file.object.to_string()] = file.object.size;
  }
  for (const std::string& project : projects) {
    SB_TRY(const std::vector<history::Version> versions, past.versions(project));
    for (const history::Version& version : versions) {
      const bool goes = std::ranges::any_of(garbage.versions, [&](const history::Version& old) {
        return old.project == project && old.number == version.number;
      });
      if (goes) continue;
      for (const history::OutputFile& file : version.outputs) going.erase(file.object.to_string());
    }
  }
  for (const auto& [id, bytes] : going) {
    ++garbage.objects.objects;
    garbage.objects.bytes += bytes;
  }
  return {};
}

// The refs that kept the sources of these cycles alive. A repository that has gone has none.
void forget_refs(const Garbage& garbage) {
  std::map<std::string, staging::Repository> open;
  for (const history::Cycle& cycle : garbage.cycles) {
    const auto place = garbage.repositories.find(cycle.project);
    if (place == garbage.repositories.end()) continue;
    auto found = open.find(place->second);
    if (found == open.end()) {
      Result<staging::Repository> repository = staging::Repository::open(place->second);
      if (!repository) continue;
      found = open.emplace(place->second, std::move(*repository)).first;
    }
    (void)found->second.forget(cycle.id);
  }
}

Status clear_stages(const Garbage& garbage) {
  for (const auto& [project, folder] : garbage.stages) {
    const auto place = garbage.repositories.find(project);
    if (place != garbage.repositories.end()) {
      Result<staging::Repository> repository = staging::Repository::open(place->second);
      if (repository) {
        SB_CHECK(doing("clearing the stages of " + project,
                       staging::StagePool(folder.path, update::kSlots).clear(*repository)));
        continue;
      }
    }
    SB_CHECK(os::remove_tree(folder.path));  // of a repository that is no more
  }
  return {};
}

Status remove(const os::Home& home, history::History& past, std::int64_t now_ms, Garbage& garbage) {
  // History first: a version that says it has no files is right even if a crash leaves some behind.
  for (const history::Version& version : garbage.versions) {
    SB_CHECK(past.drop_outputs(version.project, version.number));
  }
  for (const Garbage::Folder& folder : garbage.version_folders) SB_CHECK(os::remove_tree(folder.path));
  forget_refs(garbage);
  for (const Garbage::Folder& folder : garbage.logs) SB_CHECK(os::remove_tree(folder.path));
  SB_CHECK(clear_stages(garbage));
  SB_TRY(const std::vector<artifacts::ObjectId> referenced, past.referenced_objects());
  std::vector<std::string> kept;
  kept.reserve(referenced.size());
  for (const artifacts::ObjectId& id : referenced) kept.push_back(id.to_string());
  std::ranges::sort(kept);
  SB_TRY(garbage.cached, update::prune_cache(home, past, update::kCacheBytes, now_ms));
  os::RealFileSystem files;
  artifacts::ObjectStore store(home.objects(), files);
  SB_TRY(garbage.objects, store.collect([&](const artifacts::ObjectId& id) {
    return std::ranges::binary_search(kept, id.to_string());
  }));
  return {};
}

Json garbage_json(const Garbage& garbage, const Options& options) {
  Json versions = Json::array();
  for (const history::Version& version : garbage.versions) {
    versions.push_back({{"project", version.project},
                        {"version", history::version_name(version.number)},
                        {"state", history::to_string(version.state)}});
  }
  Json cycles = Json::array();
  for (const history::Cycle& cycle : garbage.cycles) cycles.push_back(history::cycle_name(cycle.id));
  Json stages = Json::array();
  for (const auto& [project, folder] : garbage.stages) stages.push_back(project);
  const std::uint64_t folders = sum(garbage.version_folders);
  const std::uint64_t logs = sum(garbage.logs);
  return {
      {"dry_run", options.dry_run},
      {"keep", options.keep},
      {"versions", std::move(versions)},
      {"version_bytes", folders},
      {"cycles", std::move(cycles)},
      {"log_bytes", logs},
      {"stages", std::move(stages)},
      {"stage_bytes", stage_bytes(garbage)},
      {"objects", garbage.objects.objects},
      {"object_bytes", garbage.objects.bytes},
      {"cache_bytes", garbage.cached.bytes},
      {"freed_bytes", folders + logs + stage_bytes(garbage) + garbage.objects.bytes + garbage.cached.bytes}};
}

std::string names_of(const std::vector<history::Version>& versions) {
  std::vector<std::string> names;
  names.reserve(versions.size());
  for (const history::Version& version : versions) {
    names.push_back(fmt::format("{} {}", version.project, history::version_name(version.number)));
  }
  return join(names, ", ");
}

std::string page(const Garbage& garbage, const Options& options, const Console& console) {
  Table table({{options.dry_run ? "WOULD GO" : "REMOVED"},
               {"COUNT", Table::Align::right},
               {"BYTES", Table::Align::right}});
  const auto row = [&](const char* name, std::size_t count, std::uint64_t bytes) {
    table.add({name, fmt::to_string(count), human_bytes(bytes)});
  };
  row("versions", garbage.versions.size(), sum(garbage.version_folders));
  row("stored objects", static_cast<std::size_t>(garbage.objects.objects), garbage.objects.bytes);
  row("logs of cycles", garbage.logs.size(), sum(garbage.logs));
  if (garbage.cached.objects > 0)
    row("cached outputs", static_cast<std::size_t>(garbage.cached.objects), garbage.cached.bytes);
  if (options.stages) row("stages", garbage.stages.size(), stage_bytes(garbage));
  std::string text = table.render(0);
  if (!garbage.versions.empty())
    text += '\n' + paragraph("versions: ", names_of(garbage.versions), console.columns);
  return text;
}

int busy(const std::string& what, const std::string& next) {
  Console::error(make_error(ErrorKind::conflict, what + ": nothing was removed", next));
  return kBusy;
}

Result<int> run(Program& program, const Options& options) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  // From here on nobody takes up a version of whom the journal does not know yet.
  SB_TRY(const std::optional<UniqueFd> alone, update::lock_for_gc(*home));
  SB_TRY(const std::vector<history::Cycle> open, past->unfinished());
  if (!open.empty()) {
    const std::string name = history::cycle_name(open.front().id);
    return busy(fmt::format("{} of {} is still open", name, open.front().project),
                "selfbuild explain " + name);
  }
  if (!alone) return busy("a version is about to be put into service", "selfbuild status");
  SB_TRY(const std::vector<std::string> projects, past->projects());
  Garbage garbage;
  for (const std::string& project : projects) {
    SB_CHECK(find_in_project(*home, *past, project, options, garbage));
  }
  if (options.dry_run) {
    SB_CHECK(count_objects(*past, projects, garbage));
  } else {
    SB_CHECK(remove(*home, *past, program.clock().unix_ms(), garbage));
  }
  if (program.json()) {
    Console::json(garbage_json(garbage, options));
  } else {
    Console::data(page(garbage, options, program.console()));
  }
  return kDone;
}

}  // namespace

void add_gc(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& command = program.add(
      "gc", "Keep",
      {.sentence = "Remove files of old versions and logs of old cycles.",
       .examples = {{"selfbuild gc --dry-run", "what would go"},
                    {"selfbuild gc --keep 3 --stages", "more room; the next build starts from nothing"}},
       .changes =
           "Per project the live version, those that a rollback would go to, and the newest N versions stay, "
           "with the logs of their cycles and of the newest N. Of others the files, stored objects, logs and "
           "refs/selfbuild/cycles/* go. Objects younger than an hour wait for the next time. The build cache "
           "is "
           "pruned to 20 GiB.",
       .exits = {kDone, kUsage, kUnavailable, kBusy}},
      [&program, options] { return run(program, *options); });
  command.add_option("--keep", options->keep, "How many of the newest versions stay")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_flag("--dry-run", options->dry_run, "Only say what would go");
  command.add_flag("--stages", options->stages, "Remove the worktrees and build folders, too");
  program.add_json_option(command);
}

}  // namespace sb::tool
