// AuditLog: who changed what, append-only. Every row carries the SHA-256 of the row before it and of itself,
// so that whoever changes, removes or adds a row has to rewrite all that follow; verify() names the first row
// that does not fit. It has no secret: who can write the file can rewrite all of it. To notice that, keep
// what `selfbuild audit verify` prints (the last number and hash) somewhere else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"

namespace sb::audit {

struct Entry {
  std::int64_t at_ms = 0;
  std::int64_t uid = -1;  // -1: not known
  std::int64_t pid = 0;   // 0: not known
  std::string via;        // "rpc", "http" or "safe mode"
  std::string act;        // "service.restart"
  std::string subject;    // what it was done to
  std::string outcome;    // "ok", or "refused: why"
};

struct Row {
  std::int64_t seq = 0;
  Entry entry;
  std::string hash;  // 64 hex digits
};

// What the chain is worth.
struct Verdict {
  std::int64_t first = 0;  // the oldest row that is kept; older ones were pruned
  std::int64_t last = 0;   // the newest; 0: there was never one
  std::string hash;        // of it
  struct Bad {
    std::int64_t seq = 0;
    std::string why;
  };
  std::optional<Bad> bad{};  // the first row that does not fit
};

class AuditLog {
 public:
  static constexpr std::int64_t kMostRows = 100'000;

  explicit AuditLog(sqlite::Database& database, std::int64_t most_rows = kMostRows)
      : database_(database), most_rows_(most_rows) {}

  // Inside of the caller's transaction. Drops the oldest rows when there are a tenth more than the limit; the
  // chain then begins later, and that it does is a row of it.
  [[nodiscard]] Status append(std::span<const Entry> entries);
  // The newest `limit` rows, oldest first.
  [[nodiscard]] Result<std::vector<Row>> newest(std::int64_t limit);
  // One moment, whoever writes meanwhile.
  [[nodiscard]] Result<Verdict> verify();

 private:
  struct Ends {
    std::int64_t first = 1;
    std::string before;
    std::int64_t last = 0;
    std::string hash;
  };
  [[nodiscard]] Result<Ends> ends();
  [[nodiscard]] Status set_ends(const Ends& ends);
  [[nodiscard]] Status add(Ends& ends, const Entry& entry);
  [[nodiscard]] Status prune(Ends& ends, std::int64_t at_ms);
  [[nodiscard]] Result<Verdict> walk();

  sqlite::Database& database_;
  std::int64_t most_rows_;
};

// What a row's hash is: of the hash before it, and of each column with its length.
[[nodiscard]] std::string chain(const std::string& before, std::int64_t seq, const Entry& entry);

// The database of audit and events, state/audit.db: apart from the others, so that nobody waits for it.
[[nodiscard]] Result<sqlite::Database> open_audit_database(const std::filesystem::path& path);

}  // namespace sb::audit
