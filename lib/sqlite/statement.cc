// Statement: binding, stepping and reading columns. An error of a bind is kept until the next step, so that
// binds can be chained.
#include <sqlite3.h>

#include "sqlite/database.h"
#include "sqlite/sqlite_error.h"

namespace sb::sqlite {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind(int index, std::int64_t value) {
  return note(sqlite3_bind_int64(statement_.get(), index, value));
}

Statement& Statement::bind(int index, std::string_view value) {
  // A null pointer would bind NULL; an empty text is not the same.
  const char* bytes = value.data() == nullptr ? "" : value.data();
  return note(
      sqlite3_bind_text64(statement_.get(), index, bytes, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  return note(sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_TRANSIENT));
}

Statement& Statement::bind_null(int index) {
  return note(sqlite3_bind_null(statement_.get(), index));
}

Statement& Statement::bind(int index, const std::optional<std::int64_t>& value) {
  return value ? bind(index, *value) : bind_null(index);
}

Statement& Statement::bind(int index, const std::optional<std::string>& value) {
  return value ? bind(index, std::string_view(*value)) : bind_null(index);
}

Statement& Statement::note(int code) {
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Result<bool> Statement::step() {
  const auto failed = [this](int code, std::string_view what) {
    return fail(sqlite_error(sqlite3_db_handle(statement_.get()), code, std::string(what))
                    .doing(std::string("running ") + sqlite3_sql(statement_.get())));
  };
  if (bind_error_ != SQLITE_OK)
    return failed(std::exchange(bind_error_, SQLITE_OK), "cannot bind a parameter");
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  // Reset at the end and after an error: it frees the read transaction, and lets the caller bind again.
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  auto error = failed(code, "the database refused a statement");
  sqlite3_reset(statement_.get());
  return error;
}

Status Statement::run() {
  while (true) {
    SB_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  // Text first, size second: the first call may convert, and so change the size.
  const unsigned char* bytes = sqlite3_column_text(statement_.get(), column);
  if (bytes == nullptr) return {};
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

}  // namespace sb::sqlite
