#include "sqlite/sqlite_error.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace sb::sqlite {

ErrorKind kind_of(int code) {
  // Only these two constraints mean "it is there already"; the others are statements of ours that are wrong.
  if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) return ErrorKind::conflict;
  // A file, or its log, that ends earlier than it says.
  if (code == SQLITE_IOERR_SHORT_READ) return ErrorKind::corrupt;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorKind::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::conflict;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOLFS:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return ErrorKind::environment;
    case SQLITE_INTERRUPT:
      return ErrorKind::interrupted;
    default:
      return ErrorKind::bug;
  }
}

Error sqlite_error(sqlite3* connection, int code, std::string what) {
  // errmsg belongs to the latest failed call; it only describes code when that call is the one we report.
  const bool latest = connection != nullptr && sqlite3_extended_errcode(connection) == code;
  const char* text = latest ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  return make_error(kind_of(code), fmt::format("{}: {} (SQLite code {})", what, text, code));
}

}  // namespace sb::sqlite
