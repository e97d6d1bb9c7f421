#include "tool/conductor/state_repair.h"

#include <fstream>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/file_system.h"
#include "sqlite/database.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kReadAtStart = 1U << 20U;  // takes a millisecond; the first backup reads all of it
constexpr os::Milliseconds kFirstBackup{1'000};
constexpr os::Milliseconds kBackupInterval{60'000};

fs::path backup_of(const os::Home& home) {
  return home.database().string() + ".backup";
}

fs::path suspicion(const os::Home& home) {
  return home.database().string() + ".suspect";
}

// Opened, and sound. corrupt when it is damaged; environment when it cannot be read at all.
Result<sqlite::Database> check(const fs::path& path, bool all_of_it) {
  SB_TRY(sqlite::Database database, sqlite::Database::open_to_look(path));
  SB_TRY(sqlite::Statement asked,
         database.prepare(all_of_it ? "PRAGMA quick_check(1)" : "SELECT 'ok' FROM sqlite_schema LIMIT 1"));
  SB_TRY(const bool row, asked.step());
  if (!row || asked.text(0) == "ok") return database;
  return fail(ErrorKind::corrupt, fmt::format("{} is damaged: {}", path.string(), asked.text(0)));
}

Status sync(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd && ::fsync(fd.get()) == 0) return {};
  return fail(errno_error(fmt::format("cannot sync {}", path.string())));
}

Status put_aside(const os::Home& home, std::int64_t now_ms) {
  os::RealFileSystem files;
  for (const char* part : {"-wal", "-shm", ""}) {
    const fs::path from = home.database().string() + part;
    std::error_code code;
    if (!fs::exists(from, code)) continue;
    SB_CHECK(files.rename_durably(from,
                                  fmt::format("{}{}{}{}", home.database().string(), kDamaged, now_ms, part)));
  }
  return {};
}

Status restore(const os::Home& home) {
  const fs::path copy = home.database().string() + ".restored";
  std::error_code code;
  fs::copy_file(backup_of(home), copy, fs::copy_options::overwrite_existing, code);
  if (code) return fail(errno_error(fmt::format("cannot read {}", backup_of(home).string()), code.value()));
  SB_CHECK(check(copy, true));
  SB_CHECK(sync(copy));
  return os::RealFileSystem().rename_durably(copy, home.database());
}

// Changes whenever something was written.
std::string look_of(const os::Home& home) {
  std::string look;
  for (const char* part : {"", "-wal"}) {
    struct stat there{};
    if (::stat((home.database().string() + part).c_str(), &there) != 0) continue;
    look +=
        fmt::format("{} {} {}.{} ", there.st_ino, there.st_size, there.st_mtim.tv_sec, there.st_mtim.tv_nsec);
  }
  return look;
}

// An empty file is new, unless there has been more in it before.
Result<SoundDatabase> check_at_start(const os::Home& home, bool thoroughly) {
  std::error_code code;
  const bool suspect = fs::exists(suspicion(home), code);
  const std::uintmax_t size = fs::file_size(home.database(), code);
  if (code) return SoundDatabase();
  if (size > 0) {
    SB_TRY(sqlite::Database database,
           check(home.database(), suspect || (thoroughly && size <= kReadAtStart)));
    fs::remove(suspicion(home), code);
    return SoundDatabase{.open = std::move(database)};
  }
  if (!fs::exists(backup_of(home), code)) return SoundDatabase();
  return fail(ErrorKind::corrupt, fmt::format("{} is empty", home.database().string()));
}

}  // namespace

void suspect_database(const os::Home& home) {
  (void)std::ofstream(suspicion(home));
}

Result<SoundDatabase> mend_database(const os::Home& home, bool thoroughly, std::int64_t now_ms,
                                    const Log& log) {
  Result<SoundDatabase> sound = check_at_start(home, thoroughly);
  if (sound) return sound;
  // What else may be wrong is told by who opens it.
  if (sound.error().kind != ErrorKind::corrupt) return SoundDatabase();
  log(fmt::format("the database is damaged, and is put aside: {}", one_line(sound.error())));
  SB_CHECK(put_aside(home, now_ms));
  std::error_code ignored;
  fs::remove(suspicion(home), ignored);
  const Status restored = restore(home);
  log(restored ? "the last backup of the database takes its place"
               : "the database begins empty: " + one_line(restored.error()));
  return SoundDatabase{.is_another = true};
}

Status back_up_database(const os::Home& home) {
  const fs::path copy = home.database().string() + ".copy";
  std::error_code ignored;
  fs::remove(copy, ignored);
  {
    SB_TRY(sqlite::Database database, check(home.database(), true));
    SB_CHECK(database.copy_to(copy));
  }
  SB_CHECK(sync(copy));
  return os::RealFileSystem().rename_durably(copy, backup_of(home));
}

DatabaseBackup::DatabaseBackup(os::EventLoop& loop, const os::Home& home, Log log,
                               std::function<void()> damaged)
    : loop_(loop),
      home_(home),
      log_(std::move(log)),
      damaged_(std::move(damaged)),
      timer_(loop_.after(kFirstBackup, [this] { look(); })) {}

void DatabaseBackup::look() {
  timer_ = loop_.after(kBackupInterval, [this] { look(); });
  std::string now = look_of(home_);
  if (!idle() || now == seen_) return;
  seen_ = std::move(now);
  thread_ =
      std::jthread([this] { loop_.post([this, status = back_up_database(home_)] { finished(status); }); });
}

void DatabaseBackup::finished(const Status& status) {
  thread_.join();
  thread_ = {};
  if (status) return;
  log_("the database was not backed up: " + one_line(status.error()));
  if (status.error().kind != ErrorKind::corrupt) return;
  suspect_database(home_);
  damaged_();
}

}  // namespace sb::tool
