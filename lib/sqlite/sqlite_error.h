// How an SQLite result code becomes an Error. Private to this folder.
#pragma once

#include <string>

#include "base/error.h"

struct sqlite3;

namespace sb::sqlite {

// The kind that code branches on: corrupt, conflict (busy, or a unique row that exists), environment (disk,
// permissions, memory), interrupted, else bug. Takes extended codes, too.
[[nodiscard]] ErrorKind kind_of(int code);
// "what: database disk image is malformed (SQLite code 267)"; the extended code stays in the text because
// SQLITE_IOERR_FSYNC and SQLITE_IOERR_READ call for different repairs. connection may be null.
[[nodiscard]] Error sqlite_error(sqlite3* connection, int code, std::string what);

}  // namespace sb::sqlite
