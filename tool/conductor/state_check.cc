#include "tool/conductor/state_check.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "bus/task_queue.h"
#include "history/history.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "sqlite/database.h"
#include "supervise/service_table.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;

Status copy_database(const fs::path& from, const fs::path& to) {
  std::error_code code;
  if (!fs::exists(from, code)) return {};  // a home that is still empty
  SB_TRY(sqlite::Database database, sqlite::Database::open_to_look(from));
  return database.copy_to(to);
}

// By component.
Result<Json> schemas(const fs::path& path) {
  Json found = Json::object();
  SB_TRY(sqlite::Database database, sqlite::Database::open(path));
  SB_TRY(sqlite::Statement table,
         database.prepare("SELECT 1 FROM sqlite_schema WHERE type='table' AND name='schema_version'"));
  SB_TRY(const bool known, table.step());
  if (!known) return found;
  SB_TRY(sqlite::Statement all, database.prepare("SELECT component, version FROM schema_version"));
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return found;
    found[all.text(0)] = all.integer(1);
  }
}

}  // namespace

Result<std::string> check_state(const os::Home& home) {
  SB_TRY(const os::TemporaryFolder folder, os::TemporaryFolder::make("selfbuild-check-state"));
  const fs::path copy = folder.path() / "selfbuild.db";
  SB_CHECK(copy_database(home.database(), copy));
  SB_TRY(const Json found, schemas(copy));

  const os::SystemClock clock;
  SB_TRY(history::History history, history::History::open(copy, clock));
  SB_TRY(bus::TaskQueue tasks, bus::TaskQueue::open(history.database()));
  SB_CHECK(tasks.open_tasks());
  SB_TRY(supervise::ServiceTable table, supervise::ServiceTable::open(history.database()));
  SB_CHECK(history.unfinished());
  SB_TRY(const std::vector<supervise::ServiceRow> services, table.services());
  for (const supervise::ServiceRow& service : services) {
    SB_CHECK(table.instances(service.deployment.spec.name));
    SB_CHECK(table.sockets(service.deployment.spec.name));
  }
  SB_TRY(const Json needs, schemas(copy));
  return dump_json(Json{{"version", SELFBUILD_VERSION},
                        {"found", found},
                        {"needs", needs},
                        {"migrates", !found.empty() && found != needs},
                        {"services", services.size()}});
}

}  // namespace sb::tool
