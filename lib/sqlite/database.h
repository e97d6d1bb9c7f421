// Database and Statement: SQLite 3 with RAII, Result and visible error codes. WAL, foreign keys on. An
// acknowledged commit survives a power cut: the log is synced after each one, when the write lock is free
// again, so that a slow disk hardly holds up anybody else (see commit_sync.h). When that sync fails, so does
// the call, and what it committed is there all the same. A lock that another connection holds is waited for,
// up to 5 s. One Database belongs to one thread at a time; several processes may have the same file open.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sb::sqlite {

class Statement {
 public:
  // Parameters are numbered from 1, columns from 0, as SQLite does.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, int value) { return bind(index, static_cast<std::int64_t>(value)); }
  Statement& bind(int index, std::string_view value);
  Statement& bind(int index, const std::string& value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, const char* value) { return bind(index, std::string_view(value)); }
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);
  Statement& bind(int index, const std::optional<std::int64_t>& value);
  Statement& bind(int index, const std::optional<std::string>& value);

  // True when a row is there. Reports errors of earlier binds, too.
  [[nodiscard]] Result<bool> step();
  // Steps to the end and resets.
  [[nodiscard]] Status run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;  // empty for NULL; a blob's bytes
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  Statement& note(int code);
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_error_ = 0;
};

// One numbered step of a component's schema. Forward only; never edited once released.
struct Migration {
  int number;            // 1, 2, 3 …
  std::string_view sql;  // embedded from a .sql file by CMake (sb_embed_sql)
};

// What a power cut may take. none: even a new file may be damaged by one, until the caller sets "PRAGMA
// synchronous"; for what can be begun anew.
enum class Sync : std::uint8_t { none, each_commit };

// A log of that many pages is brought into the file.
inline constexpr int kCheckpointPages = 1000;

class CommitSync;

class Database {
 public:
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& path,
                                             Sync sync = Sync::each_commit);

  // For looking at a file that may be damaged: it has to be there, nothing about it is changed at opening,
  // and no lock is asked for that another connection's reading would keep away.
  [[nodiscard]] static Result<Database> open_to_look(const std::filesystem::path& path);

  // Brings the tables of one component up to date, each step in its own transaction. Refuses a database that
  // a newer program has written (ErrorKind::conflict), and leaves it as it is.
  [[nodiscard]] Status migrate(std::string_view component, std::span<const Migration> migrations);

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  [[nodiscard]] Status execute(std::string_view sql);  // any number of statements
  // BEGIN IMMEDIATE … COMMIT around work; rolls back when work fails. Not nested.
  [[nodiscard]] Status transaction(const std::function<Status()>& work);
  // Writes a copy as of now to a path where nothing is yet, while others read and write. Not synced.
  [[nodiscard]] Status copy_to(const std::filesystem::path& path);
  [[nodiscard]] std::int64_t last_insert_id() const;
  [[nodiscard]] int changes() const;  // rows changed by the last statement
  // The longest that anything had to wait for a lock of another connection so far. From any thread.
  [[nodiscard]] std::chrono::nanoseconds longest_wait() const;

  // The last one to close the file leaves its write-ahead log as it is, instead of bringing it into the file
  // and to disk; the next one to open it reads the log. For files that are opened often and synced rarely.
  void keep_log();

  // Commits do not wait for the disk from now on; see sqlite/commit_sync.h.
  void leave_syncs_to(CommitSync& sync);
  // Until what anybody has committed is on disk.
  [[nodiscard]] Status sync_log();
  // Brings the log into the file, and that to disk; false when not all of it, since somebody still reads what
  // was there before, or is at it himself.
  [[nodiscard]] Result<bool> checkpoint();

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  struct Waits {
    std::chrono::steady_clock::time_point began;
    std::atomic<std::chrono::nanoseconds> longest{std::chrono::nanoseconds{0}};
    void note();  // the one that began then lasts until now
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  [[nodiscard]] static Result<Database> connect(const std::filesystem::path& path, int flags);
  static int wait_for_lock(void* waits, int calls);
  [[nodiscard]] Status use_wal();

  std::unique_ptr<Waits> waits_ =
      std::make_unique<Waits>();  // outlives the connection, which waits when it closes
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace sb::sqlite
