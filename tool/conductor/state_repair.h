// A damaged database does not keep the conductor down: it is put aside, and the last backup takes its place,
// or an empty one. What runs is found again by lost_services.h.
//
//   state/selfbuild.db.backup              as of the last minute, checked
//   state/selfbuild.db.suspect             a backup or a start failed over it: the next start reads all of it
//   state/selfbuild.db.damaged-TIME        what was put aside, for whoever wants to save rows from it
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "os/event_loop.h"
#include "os/home.h"
#include "sqlite/database.h"

namespace sb::tool {

inline constexpr const char* kDamaged = ".damaged-";  // follows the database's name

using Log = std::function<void(const std::string&)>;

struct SoundDatabase {
  bool is_another = false;  // it took the place of a damaged one
  // What has been looked at. Kept until somebody else has it open: whoever opens a database alone reads all
  // of its write-ahead log first.
  std::optional<sqlite::Database> open{};
};

// Before anybody opens the database. Reads its schema, and all of it when it is suspect, or `thoroughly` and
// it has up to 1 MiB. Errors: environment.
[[nodiscard]] Result<SoundDatabase> mend_database(const os::Home& home, bool thoroughly, std::int64_t now_ms,
                                                  const Log& log);
// The next mend_database reads all of it.
void suspect_database(const os::Home& home);

// Checks the database and copies it, durably and whole, to the backup. corrupt when it is damaged: the backup
// stays what it was.
[[nodiscard]] Status back_up_database(const os::Home& home);

// Backs up once a minute when something has changed, on a thread of its own: the event loop never waits for
// it. A database that turns out to be damaged is marked as suspect, and damaged() is called.
class DatabaseBackup {
 public:
  DatabaseBackup(os::EventLoop& loop, const os::Home& home, Log log, std::function<void()> damaged);
  [[nodiscard]] bool idle() const { return !thread_.joinable(); }

 private:
  void look();
  void finished(const Status& status);

  os::EventLoop& loop_;
  const os::Home& home_;
  Log log_;
  std::function<void()> damaged_;
  std::string seen_;  // what the database's files looked like at the last backup
  os::Watch timer_;
  std::jthread thread_;
};

}  // namespace sb::tool
