// Database: opening with the settings that make an acknowledged commit durable, transactions, migrations.
#include "sqlite/database.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <sqlite3.h>

#include "sqlite/commit_sync.h"
#include "sqlite/sqlite_error.h"

namespace sb::sqlite {
namespace {

constexpr std::chrono::seconds kLongestWait{5};
// SQLite cannot be woken when the lock is free. Its own pauses grow to 100 ms, and are slept to their end.
constexpr std::chrono::microseconds kPause{200};

// Rolls back what is still open at the end of scope: an error of ours, an exception, or a COMMIT that failed.
class OpenTransaction {
 public:
  explicit OpenTransaction(sqlite3* connection) : connection_(connection) {}
  OpenTransaction(const OpenTransaction&) = delete;
  OpenTransaction& operator=(const OpenTransaction&) = delete;
  ~OpenTransaction() {
    // Some errors (disk full, I/O) have rolled back already; then there is nothing to do.
    if (sqlite3_get_autocommit(connection_) == 0) {
      sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }

 private:
  sqlite3* connection_;
};

int sync_log_of(sqlite3* connection) {
  sqlite3_file* log = nullptr;
  const int code =
      sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (code != SQLITE_OK) return code;
  if (log == nullptr || log->pMethods == nullptr) return SQLITE_OK;  // nothing was ever written or read
  return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

Result<bool> checkpoint_of(sqlite3* connection) {
  int in_log = 0;
  int in_file = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, &in_file);
  if (code == SQLITE_BUSY) return false;
  if (code != SQLITE_OK)
    return fail(sqlite_error(connection, code, "cannot bring the log into the database"));
  return in_log == in_file;
}

// After a commit, without its lock (sqlite3_wal_hook).
int sync_commit(void*, sqlite3* connection, const char*, int pages) {
  const int code = sync_log_of(connection);
  if (code == SQLITE_OK && pages >= kCheckpointPages) (void)checkpoint_of(connection);
  return code;
}

// 0 when the component has no tables yet.
Result<int> schema_version(Database& database, std::string_view component) {
  SB_TRY(Statement table,
         database.prepare("SELECT 1 FROM sqlite_schema WHERE type='table' AND name='schema_version'"));
  SB_TRY(const bool known, table.step());
  if (!known) return 0;
  SB_TRY(Statement row, database.prepare("SELECT version FROM schema_version WHERE component=?1"));
  SB_TRY(const bool found, row.bind(1, component).step());
  return found ? static_cast<int>(row.integer(0)) : 0;
}

Status apply(Database& database, std::string_view component, const Migration& migration) {
  return database.transaction([&]() -> Status {
    // Read again inside the transaction: another process may have been first.
    SB_TRY(const int version, schema_version(database, component));
    if (version >= migration.number) return {};
    SB_CHECK(database.execute(
        "CREATE TABLE IF NOT EXISTS schema_version(component TEXT PRIMARY KEY, version INTEGER NOT NULL)"));
    SB_CHECK(database.execute(migration.sql));
    SB_TRY(Statement record,
           database.prepare("INSERT INTO schema_version(component, version) VALUES(?1, ?2) "
                            "ON CONFLICT(component) DO UPDATE SET version=excluded.version"));
    return record.bind(1, component).bind(2, migration.number).run();
  });
}

}  // namespace

void Database::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

void Database::Waits::note() {
  longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - began);
}

int Database::wait_for_lock(void* waits, int calls) {
  auto& known = *static_cast<Waits*>(waits);
  if (calls == 0) known.began = std::chrono::steady_clock::now();
  if (std::chrono::steady_clock::now() - known.began >= kLongestWait) return 0;
  std::this_thread::sleep_for(kPause);
  known.note();
  return 1;
}

// Turning a new file to WAL needs it alone, and SQLite answers BUSY without waiting when two processes try at
// once.
Status Database::use_wal() {
  for (int calls = 0;; ++calls) {
    SB_TRY(Statement mode, prepare("PRAGMA journal_mode=WAL"));
    const Result<bool> row = mode.step();
    if (!row && row.error().kind == ErrorKind::conflict && wait_for_lock(waits_.get(), calls) != 0) continue;
    SB_CHECK(row);
    if (mode.text(0) == "wal") return {};
    return fail(ErrorKind::environment,
                fmt::format("SQLite cannot use a write-ahead log here (journal mode {})", mode.text(0)));
  }
}

Result<Database> Database::connect(const std::filesystem::path& path, int flags) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(connection);  // also after an error: the handle must be closed
  if (code != SQLITE_OK) {
    return fail(sqlite_error(connection, code, fmt::format("cannot open the database {}", path.string())));
  }
  sqlite3_busy_handler(connection, wait_for_lock, database.waits_.get());
  return database;
}

Result<Database> Database::open_to_look(const std::filesystem::path& path) {
  SB_TRY(Database database, connect(path, SQLITE_OPEN_READWRITE));
  database.keep_log();
  return database;
}

Result<Database> Database::open(const std::filesystem::path& path, Sync sync) {
  SB_TRY(Database database, connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  const std::string opening = fmt::format("opening the database {}", path.string());
  SB_CHECK(doing(opening, database.execute(sync == Sync::none ? "PRAGMA synchronous=OFF"
                                                              : "PRAGMA synchronous=NORMAL")));
  SB_CHECK(doing(opening, database.use_wal()));
  if (sync == Sync::each_commit) sqlite3_wal_hook(database.connection_.get(), sync_commit, nullptr);
  SB_CHECK(doing(opening, database.execute("PRAGMA foreign_keys=ON")));
  return database;
}

void Database::keep_log() {
  // Cannot fail: the connection is open, and the setting known since SQLite 3.16.
  (void)sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void Database::leave_syncs_to(CommitSync& sync) {
  const auto count = [](void* it, sqlite3*, const char*, int pages) {
    static_cast<CommitSync*>(it)->committed(pages);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(connection_.get(), count, &sync);
}

Status Database::sync_log() {
  const int code = sync_log_of(connection_.get());
  if (code != SQLITE_OK) return fail(sqlite_error(connection_.get(), code, "cannot sync the database's log"));
  return {};
}

Result<bool> Database::checkpoint() {
  return checkpoint_of(connection_.get());
}

Status Database::migrate(std::string_view component, std::span<const Migration> migrations) {
  const int newest = static_cast<int>(migrations.size());
  for (int i = 0; i < newest; ++i) {
    if (migrations[static_cast<std::size_t>(i)].number != i + 1) {
      return fail(ErrorKind::bug, fmt::format("the migrations of {} are not numbered 1, 2, 3 …", component));
    }
  }
  SB_TRY(const int version, schema_version(*this, component));
  if (version > newest) {
    Error error = make_error(ErrorKind::conflict,
                             fmt::format("the tables of {} were written by a newer selfbuild", component));
    error.expected = fmt::format("schema {} or older", newest);
    error.found = fmt::format("schema {}", version);
    return fail(std::move(error));
  }
  for (const Migration& migration : migrations.subspan(static_cast<std::size_t>(version))) {
    SB_CHECK(doing(fmt::format("migrating the tables of {} to schema {}", component, migration.number),
                   apply(*this, component, migration)));
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) {
    return fail(sqlite_error(connection_.get(), code, "cannot prepare a statement")
                    .doing(fmt::format("preparing {}", sql)));
  }
  if (statement == nullptr) return fail(ErrorKind::bug, "an empty SQL statement");
  return Statement(statement);
}

Status Database::execute(std::string_view sql) {
  const std::string text(sql);  // sqlite3_exec wants a final zero
  const int code = sqlite3_exec(connection_.get(), text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK)
    return fail(sqlite_error(connection_.get(), code, "the database refused a statement"));
  return {};
}

Status Database::transaction(const std::function<Status()>& work) {
  // IMMEDIATE: waits for the write lock here, where waiting is safe; a read that is upgraded later would fail
  // at once with BUSY_SNAPSHOT.
  SB_CHECK(execute("BEGIN IMMEDIATE"));
  const OpenTransaction transaction(connection_.get());
  SB_CHECK(work());
  return execute("COMMIT");
}

Status Database::copy_to(const std::filesystem::path& path) {
  SB_TRY(Statement copy, prepare("VACUUM INTO ?1"));
  return doing(fmt::format("copying the database to {}", path.string()), copy.bind(1, path.string()).run());
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(connection_.get());
}

std::chrono::nanoseconds Database::longest_wait() const {
  return waits_->longest;
}

int Database::changes() const {
  return sqlite3_changes(connection_.get());
}

}  // namespace sb::sqlite
