// selfbuild/service_state.h: values that outlive a process: its crash, its replacement, its rollback. C99 or
// C++ with SQLite (link -lsqlite3). Copy it into your project, beside selfbuild/service.h.
//
//   selfbuild_state state;
//   if (selfbuild_state_open(&state, NULL, 2, 1 << 20) != SQLITE_OK) …   // our format is 2; at most 1 MiB
//   selfbuild_state_save(&state, "visits", &visits, sizeof visits);
//
// Versions: each value is kept with the format that its program writes. A program is given what was saved
// last in a format that it knows, that is: one that is not above its own. So a version that is put back is
// never given what its successor wrote, and a successor is given what its predecessor left, with its format.
// The three formats that were saved last are kept. While versions overlap the old one may go on saving: what
// both change belongs into a database of your own.
//
// Durability: what selfbuild_state_save() was told to be SQLITE_OK survives a power cut (write-ahead log,
// synchronous=FULL). Several processes may be at work here; they wait up to 5 s for each other.
// Threads: one selfbuild_state belongs to one thread at a time. Errors: SQLite's result codes, which
// sqlite3_errstr() explains.
#ifndef SELFBUILD_SERVICE_STATE_H
#define SELFBUILD_SERVICE_STATE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct selfbuild_state {
  sqlite3* database;
  int format;
  size_t most_bytes;
} selfbuild_state;

static inline void selfbuild_state_close(selfbuild_state* state) {
  sqlite3_close(state->database);
  state->database = NULL;
}

// `folder` has the file service_state.db; NULL: $STATE_DIRECTORY, where the conductor (and systemd, with
// StateDirectory=) has one for each service. SQLITE_CANTOPEN when that is not set: nothing is kept in memory
// behind your back. `format`: what this program writes, above 0. `most_bytes`: for all values of that format.
static inline int selfbuild_state_open(selfbuild_state* state, const char* folder, int format,
                                       size_t most_bytes) {
  char path[4096];
  size_t length = 0;
  state->database = NULL;
  state->format = format;
  state->most_bytes = most_bytes;
  if (format <= 0) return SQLITE_MISUSE;
  if (folder != NULL) {
    length = strlen(folder);
  } else {
    // systemd gives several, with colons between them; the first is meant.
    folder = getenv("STATE_DIRECTORY");
    if (folder != NULL) length = strcspn(folder, ":");
  }
  if (length == 0 || length >= sizeof path - 32) return SQLITE_CANTOPEN;
  snprintf(path, sizeof path, "%.*s/service_state.db", (int)length, folder);
  int code = sqlite3_open(path, &state->database);
  if (code == SQLITE_OK) code = sqlite3_busy_timeout(state->database, 5000);
  // Who makes the file leaves others no time to wait by SQLite's own means.
  for (int tries = 0; tries < 500 && code == SQLITE_OK; ++tries) {
    code =
        sqlite3_exec(state->database,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "CREATE TABLE IF NOT EXISTS value(name TEXT NOT NULL, format INTEGER NOT NULL,"
                     " saved INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(name, format)) WITHOUT ROWID",
                     NULL, NULL, NULL);
    if (code != SQLITE_BUSY) break;
    sqlite3_sleep(10);
    if (tries < 499) code = SQLITE_OK;
  }
  if (code != SQLITE_OK) selfbuild_state_close(state);
  return code;
}

// Prepares a statement whose ?1 is `name` and whose ?2 is the format of this program.
static inline int selfbuild_state_prepare(selfbuild_state* state, const char* sql, const char* name,
                                          sqlite3_stmt** statement) {
  int code = sqlite3_prepare_v2(state->database, sql, -1, statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_text(*statement, 1, name, -1, SQLITE_STATIC);
  if (code == SQLITE_OK) code = sqlite3_bind_int(*statement, 2, state->format);
  return code;
}

// In place of what was there in this format; durable when it returns. SQLITE_TOOBIG, and nothing changed,
// when all values together would be more than `most_bytes`.
static inline int selfbuild_state_save(selfbuild_state* state, const char* name, const void* bytes,
                                       size_t size) {
  sqlite3_stmt* others = NULL;
  sqlite3_stmt* insert = NULL;
  sqlite3_stmt* prune = NULL;
  int code = sqlite3_exec(state->database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  if (code != SQLITE_OK) return code;
  code = selfbuild_state_prepare(state,
                                 "DELETE FROM value WHERE name = ?1 AND format <> ?2 AND format NOT IN ("
                                 "SELECT format FROM value WHERE name = ?1 AND format <> ?2"
                                 " ORDER BY saved DESC LIMIT 2)",
                                 name, &prune);
  if (code == SQLITE_OK && sqlite3_step(prune) != SQLITE_DONE) code = sqlite3_errcode(state->database);
  if (code == SQLITE_OK) {
    code = selfbuild_state_prepare(
        state, "SELECT coalesce(sum(length(bytes)), 0) FROM value WHERE name <> ?1 AND format = ?2", name,
        &others);
  }
  if (code == SQLITE_OK && sqlite3_step(others) != SQLITE_ROW) code = sqlite3_errcode(state->database);
  if (code == SQLITE_OK) {
    const sqlite3_uint64 used = (sqlite3_uint64)sqlite3_column_int64(others, 0);
    if (size > state->most_bytes || used > state->most_bytes - size) code = SQLITE_TOOBIG;
  }
  if (code == SQLITE_OK) {
    code =
        selfbuild_state_prepare(state,
                                "INSERT OR REPLACE INTO value(name, format, bytes, saved) VALUES(?1, ?2, ?3,"
                                " (SELECT coalesce(max(saved), 0) + 1 FROM value))",
                                name, &insert);
  }
  if (code == SQLITE_OK) {
    // A null pointer would be NULL, and no empty value.
    code = sqlite3_bind_blob64(insert, 3, size > 0 ? bytes : "", (sqlite3_uint64)size, SQLITE_STATIC);
  }
  if (code == SQLITE_OK && sqlite3_step(insert) != SQLITE_DONE) code = sqlite3_errcode(state->database);
  sqlite3_finalize(prune);
  sqlite3_finalize(others);
  sqlite3_finalize(insert);
  if (code == SQLITE_OK) code = sqlite3_exec(state->database, "COMMIT", NULL, NULL, NULL);
  if (code != SQLITE_OK) sqlite3_exec(state->database, "ROLLBACK", NULL, NULL, NULL);
  return code;
}

// What was saved last in a format that is not above ours: *bytes is yours to free(), with one 0 byte behind
// its *size; *format says who wrote it. SQLITE_NOTFOUND, and nothing set, when there is none. `format` may be
// NULL.
static inline int selfbuild_state_load(selfbuild_state* state, const char* name, void** bytes, size_t* size,
                                       int* format) {
  sqlite3_stmt* select = NULL;
  int code = selfbuild_state_prepare(state,
                                     "SELECT bytes, format FROM value WHERE name = ?1 AND format <= ?2"
                                     " ORDER BY saved DESC LIMIT 1",
                                     name, &select);
  if (code == SQLITE_OK) {
    const int step = sqlite3_step(select);
    if (step == SQLITE_DONE) code = SQLITE_NOTFOUND;
    if (step != SQLITE_DONE && step != SQLITE_ROW) code = step;
  }
  if (code == SQLITE_OK) {
    const void* found = sqlite3_column_blob(select, 0);
    const size_t length = (size_t)sqlite3_column_bytes(select, 0);
    char* copy = (char*)malloc(length + 1);
    if (copy == NULL) {
      code = SQLITE_NOMEM;
    } else {
      if (length > 0) memcpy(copy, found, length);
      copy[length] = '\0';
      *bytes = copy;
      *size = length;
      if (format != NULL) *format = sqlite3_column_int(select, 1);
    }
  }
  sqlite3_finalize(select);
  return code;
}

// In every format.
static inline int selfbuild_state_drop(selfbuild_state* state, const char* name) {
  sqlite3_stmt* remove = NULL;
  int code = sqlite3_prepare_v2(state->database, "DELETE FROM value WHERE name = ?1", -1, &remove, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_text(remove, 1, name, -1, SQLITE_STATIC);
  if (code == SQLITE_OK && sqlite3_step(remove) != SQLITE_DONE) code = sqlite3_errcode(state->database);
  sqlite3_finalize(remove);
  return code;
}

#endif  // SELFBUILD_SERVICE_STATE_H
