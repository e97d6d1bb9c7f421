#include "tool/selfbuild/version_change.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "artifacts/object_store.h"
#include "os/file_system.h"
#include "tool/selfbuild/follow.h"
#include "tool/selfbuild/submit.h"
#include "tool/selfbuild/worker_service.h"
#include "update/conductor_link.h"
#include "update/gc_lock.h"
#include "update/live.h"
#include "update/version_folder.h"

namespace sb::tool {

std::optional<int> version_before(const std::vector<history::Cycle>& cycles,
                                  const std::vector<history::Version>& versions, int live) {
  for (const history::Cycle& cycle : cycles) {
    const bool made_it_live = cycle.status == history::BuildStatus::completed && cycle.version == live;
    if (!made_it_live || !cycle.from_version || cycle.from_version == live) continue;
    const auto before = std::ranges::find(versions, *cycle.from_version, &history::Version::number);
    if (before != versions.end() && before->state == history::VersionState::known_good) return before->number;
  }
  return std::nullopt;
}

Result<int> change_version(Program& program, const history::Version& chosen, history::CycleKind kind,
                           const Json& rollout) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  // Until the conductor's journal has this cycle, nothing else tells gc that the version is needed. Read
  // again, because gc may have been at it a moment ago.
  SB_TRY(UniqueFd without_gc, update::keep_gc_away(*home));
  SB_TRY(const history::Version version, past->version(chosen.project, chosen.number));
  SB_TRY(const std::optional<int> live, update::live_version(*home, version.project));
  const std::string name = history::version_name(version.number);
  if (live == version.number) {
    if (program.json()) {
      Console::json({{"cycle", nullptr},
                     {"project", version.project},
                     {"live", name},
                     {"outcome", "live already"},
                     {"exit_code", kDone}});
    } else {
      Console::data(fmt::format("{} is live already: nothing was changed.\n", name));
    }
    return kDone;
  }
  os::RealFileSystem files;
  SB_TRY(const std::filesystem::path folder,
         update::lay_out(*home, artifacts::ObjectStore(home->objects(), files), version));
  SB_TRY(const Json services, doing("reading the services of " + name, parse_json(version.services_json)));
  update::ConductorLink conductor(*home);
  SB_CHECK(ensure_worker(conductor));
  const Json plan{{"version", version.number},
                  {"title", fmt::format("{} {}", history::to_string(kind), name)}};
  SB_TRY(const Json answer, conductor.call_once("cycle.begin", {{"kind", history::to_string(kind)},
                                                                {"project", version.project},
                                                                {"from", live.value_or(0)},
                                                                {"plan", dump_json(plan)},
                                                                {"version", version.number},
                                                                {"directory", folder.string()},
                                                                {"services", services},
                                                                {"triggered_by", caller()},
                                                                {"rollout", rollout}}));
  without_gc.reset();
  SB_TRY(const std::int64_t cycle, json_integer(answer, "cycle"));
  return follow(program, cycle, {});
}

}  // namespace sb::tool
