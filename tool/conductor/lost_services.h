// After the database was lost, or set back to a backup: finds the services' processes that run and that it
// does not know, and writes their rows, so that they are adopted and no second copy is started.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "os/home.h"
#include "supervise/service_table.h"
#include "tool/conductor/keeper_vault.h"

namespace sb::tool {

// What a service was started with is read from its process: command, environment, folder (which names the
// version), and from the vault: its sockets. How it says that it is ready and healthy is lost with the
// database, until its next version is promoted: such a service counts as well as long as it runs.
[[nodiscard]] Status find_lost_services(const os::Home& home, supervise::ServiceTable& table,
                                        const KeeperVault& vault,
                                        const std::function<void(const std::string&)>& log);

// Whether a process still has the database open that was put aside: what it writes there reaches nobody.
[[nodiscard]] bool has_damaged_database(const os::Home& home, pid_t pid);

}  // namespace sb::tool
