#include "cache/action_store.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "cache/schema.h"
#include "cache/wire.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTurn{5};
constexpr std::chrono::microseconds kPause{500};  // who waits looks more often than that
constexpr std::int64_t kMostBuilds = 200;
constexpr std::size_t kKeyBytes = 16;
constexpr sqlite::Migration kMigrations[] = {{.number = 1, .sql = schema::k001_actions},
                                             {.number = 2, .sql = schema::k002_last_run},
                                             {.number = 3, .sql = schema::k003_wrong},
                                             {.number = 4, .sql = schema::k004_removed},
                                             {.number = 5, .sql = schema::k005_action_of_result}};

// Of their bytes; where they lie, and how they are shared, is the same for all of one key.
Key key_of_outputs(const std::vector<Output>& outputs) {
  KeyBuilder key;
  for (const Output& output : outputs) key.add(output.id.digest).add(output.id.size).add(output.link);
  return key.finish();
}

// Numbers as the processor has them; the store never leaves its machine.
template <typename Number>
std::string to_blob(std::span<const Number> numbers) {
  std::string blob(numbers.size_bytes(), '\0');
  if (!numbers.empty()) std::memcpy(blob.data(), numbers.data(), blob.size());
  return blob;
}

template <typename Number>
std::vector<Number> numbers_from(const std::string& blob) {
  std::vector<Number> numbers(blob.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), blob.data(), numbers.size() * sizeof(Number));
  return numbers;
}

}  // namespace

std::string to_bytes(const std::vector<Output>& outputs) {
  std::string blob;
  for (const Output& output : outputs) {
    put_number(blob, static_cast<std::uint64_t>(output.kind));
    put_number(blob, output.executable ? 1 : 0);
    blob += output.id.digest.bytes();
    put_number(blob, output.id.size);
    put_text(blob, output.path);
    put_text(blob, output.link);
  }
  return blob;
}

std::optional<std::vector<Output>> outputs_from(std::string_view bytes) {
  std::vector<Output> outputs;
  WireReader reader(bytes);
  while (reader.ok() && !reader.at_end()) {
    Output output;
    const std::uint64_t kind = reader.number();
    if (kind > static_cast<std::uint64_t>(Output::Kind::folder)) return std::nullopt;
    output.kind = static_cast<Output::Kind>(kind);
    output.executable = reader.number() != 0;
    output.id.digest = Key::from_bytes(reader.text(16));
    output.id.size = reader.number();
    output.path = reader.text(reader.number());
    output.link = reader.text(reader.number());
    outputs.push_back(std::move(output));
  }
  if (!reader.ok()) return std::nullopt;
  return outputs;
}

ActionStore::ActionStore(sqlite::Database database) : database_(std::move(database)) {}

Result<ActionStore> ActionStore::open(const std::filesystem::path& file) {
  SB_CHECK(os::make_folders(file.parent_path()));
  Result<ActionStore> store = open_whole(file);
  if (store || store.error().kind != ErrorKind::corrupt) return store;
  // It is a cache: what it knew is found out again.
  SB_CHECK(set_aside(file));
  return open_whole(file);
}

Status ActionStore::mend(const std::filesystem::path& file) {
  Result<sqlite::Database> database = sqlite::Database::open(file);
  bool whole = false;
  if (database) {
    Result<sqlite::Statement> check = database->prepare("PRAGMA quick_check(1)");
    const Result<bool> row = check ? check->step() : Result<bool>(false);
    whole = row && *row && check->text(0) == "ok";
  }
  return whole ? Status() : set_aside(file);
}

Status ActionStore::set_aside(const std::filesystem::path& file) {
  const std::string damaged = file.string() + ".damaged";
  if (::rename(file.c_str(), damaged.c_str()) != 0 && errno != ENOENT)
    return fail(errno_error(fmt::format("cannot set {} aside", file.string())));
  for (const char* more : {"-wal", "-shm"}) ::unlink((file.string() + more).c_str());
  return {};
}

Result<ActionStore> ActionStore::open_whole(const std::filesystem::path& file) {
  SB_TRY(sqlite::Database database, sqlite::Database::open(file, sqlite::Sync::none));
  SB_CHECK(database.migrate("cache", kMigrations));
  // A cache need not survive a power cut, only stay whole: WAL with NORMAL does. The log stays when it is
  // closed, so that a build syncs nothing; 256 pages of it are read in a millisecond.
  // And a row that is replaced counts as removed (schema/004_removed.sql).
  SB_CHECK(
      database.execute("PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=256; "
                       "PRAGMA recursive_triggers=ON"));
  database.keep_log();
  return ActionStore(std::move(database));
}

Result<sqlite::Statement*> ActionStore::statement(const char* sql) {
  if (const auto found = prepared_.find(sql); found != prepared_.end()) return &found->second;
  SB_TRY(sqlite::Statement prepared, database_.prepare(sql));
  return &prepared_.emplace(sql, std::move(prepared)).first->second;
}

Status ActionStore::begin_writing() {
  SB_CHECK(database_.execute("BEGIN IMMEDIATE"));
  writing_since_ = steady_clock::now();
  Status known = forget_swept_paths();
  if (!known) (void)end_writing();
  return known;
}

// Numbers are not given twice (sweep()), so those that others refer to stay right; but a new row must not
// name one that is gone.
Status ActionStore::forget_swept_paths() {
  SB_TRY(sqlite::Statement * find, statement("SELECT times FROM swept"));
  SB_TRY(const bool there, find->step());
  const std::int64_t times = there ? find->integer(0) : 0;
  if (there) SB_CHECK(find->run());
  if (std::exchange(swept_, times) != times) path_ids_.clear();
  return {};
}

Status ActionStore::give_way() {
  if (!writing_since_ || steady_clock::now() - *writing_since_ < kTurn) return {};
  SB_CHECK(end_writing());
  std::this_thread::sleep_for(kPause);
  return begin_writing();
}

Status ActionStore::end_writing() {
  if (!std::exchange(writing_since_, std::nullopt)) return {};  // giving way failed, and said so
  Status done = database_.execute("COMMIT");
  if (!done) (void)database_.execute("ROLLBACK");
  return done;
}

Result<ActionStore::PathId> ActionStore::path_id(const std::string& text) {
  if (const auto known = path_ids_.find(text); known != path_ids_.end()) return known->second;
  SB_TRY(sqlite::Statement * find, statement("SELECT id FROM path WHERE text=?"));
  SB_TRY(const bool there, find->bind(1, text).step());
  PathId id = 0;
  if (there) {
    id = static_cast<PathId>(find->integer(0));
    SB_CHECK(find->run());
  } else {
    SB_TRY(sqlite::Statement * add, statement("INSERT INTO path(text) VALUES(?)"));
    SB_CHECK(add->bind(1, text).run());
    id = static_cast<PathId>(database_.last_insert_id());
  }
  path_ids_.emplace(text, id);
  return id;
}

Result<std::string> ActionStore::path(PathId id) {
  if (const auto known = paths_.find(id); known != paths_.end()) return known->second;
  SB_TRY(sqlite::Statement * find, statement("SELECT text FROM path WHERE id=?"));
  SB_TRY(const bool there, find->bind(1, static_cast<std::int64_t>(id)).step());
  if (!there) return fail(ErrorKind::corrupt, fmt::format("the cache names no path {}", id));
  std::string text = find->text(0);
  SB_CHECK(find->run());
  paths_.emplace(id, text);
  return text;
}

Result<ActionStore::ListId> ActionStore::list_id(std::span<const PathId> paths) {
  const std::string blob = to_blob(paths);
  SB_TRY(sqlite::Statement * find, statement("SELECT id FROM input_list WHERE paths=?"));
  SB_TRY(const bool there, find->bind_blob(1, blob).step());
  if (there) {
    const ListId id = find->integer(0);
    SB_CHECK(find->run());
    return id;
  }
  SB_TRY(sqlite::Statement * add, statement("INSERT INTO input_list(paths) VALUES(?)"));
  SB_CHECK(add->bind_blob(1, blob).run());
  return database_.last_insert_id();
}

Result<std::vector<ActionStore::PathId>> ActionStore::list(ListId id) {
  SB_TRY(sqlite::Statement * find, statement("SELECT paths FROM input_list WHERE id=?"));
  SB_TRY(const bool there, find->bind(1, id).step());
  if (!there) return fail(ErrorKind::corrupt, fmt::format("the cache has no input list {}", id));
  const std::string blob = find->text(0);
  SB_CHECK(find->run());
  return numbers_from<PathId>(blob);
}

Result<std::int64_t> ActionStore::removed() {
  SB_TRY(sqlite::Statement * find, statement("SELECT token FROM removed"));
  SB_TRY(const bool there, find->step());
  const std::int64_t token = there ? find->integer(0) : 0;
  SB_CHECK(find->run());
  return token;
}

Result<std::vector<ActionStore::ListId>> ActionStore::lists_of(const Key& action) {
  SB_TRY(sqlite::Statement * find,
         statement("SELECT list FROM shown WHERE action=? ORDER BY seen_ms DESC, list DESC LIMIT 16"));
  find->bind_blob(1, action.bytes());
  std::vector<ListId> lists;
  while (true) {
    SB_TRY(const bool row, find->step());
    if (!row) return lists;
    lists.push_back(find->integer(0));
  }
}

Result<std::optional<ActionResult>> ActionStore::result(const Key& key, std::int64_t owner) {
  SB_TRY(sqlite::Statement * find,
         statement(
             "SELECT outputs, printed, took_ms FROM result WHERE key=? AND owner IN (0, ?) ORDER BY owner"));
  SB_TRY(const bool there, find->bind_blob(1, key.bytes()).bind(2, owner).step());
  if (!there) return std::nullopt;
  ActionResult result{.outputs = {}, .printed = find->text(1), .took_ms = find->integer(2)};
  auto outputs = outputs_from(find->text(0));
  SB_CHECK(find->run());
  if (!outputs) return fail(ErrorKind::corrupt, "a result in the cache cannot be read");
  result.outputs = *std::move(outputs);
  return result;
}

Result<bool> ActionStore::record(const Key& action, std::optional<ListId> list, const Key& key,
                                 std::int64_t owner, const ActionResult& result, std::int64_t now_ms) {
  SB_TRY(sqlite::Statement * wrong, statement("SELECT 1 FROM wrong WHERE key=? AND outputs=?"));
  SB_TRY(const bool is_wrong,
         wrong->bind_blob(1, key.bytes()).bind_blob(2, key_of_outputs(result.outputs).bytes()).step());
  if (is_wrong) {
    SB_CHECK(wrong->run());
    return false;
  }
  SB_TRY(sqlite::Statement * shown,
         statement("INSERT OR REPLACE INTO shown(action, list, seen_ms) VALUES(?,?,?)"));
  if (list) SB_CHECK(shown->bind_blob(1, action.bytes()).bind(2, *list).bind(3, now_ms).run());
  SB_TRY(sqlite::Statement * add,
         statement("INSERT OR REPLACE INTO result(key, owner, used_ms, took_ms, outputs, "
                   "printed, action) VALUES(?,?,?,?,?,?,?)"));
  SB_CHECK(add->bind_blob(1, key.bytes())
               .bind(2, owner)
               .bind(3, now_ms)
               .bind(4, result.took_ms)
               .bind_blob(5, to_bytes(result.outputs))
               .bind(6, result.printed)
               .bind_blob(7, action.bytes())
               .run());
  SB_CHECK(give_way());
  return true;
}

Status ActionStore::note_run(const LastRun& run, std::int64_t now_ms) {
  SB_TRY(const PathId output, path_id(run.output));
  SB_TRY(sqlite::Statement * add,
         statement("INSERT OR REPLACE INTO last_run(action, list, ran_ms, result, output, parts, inputs, "
                   "sights) VALUES(?,?,?,?,?,?,?,?)"));
  return add->bind_blob(1, run.action.bytes())
      .bind(2, run.list)
      .bind(3, now_ms)
      .bind_blob(4, run.result.bytes())
      .bind(5, static_cast<std::int64_t>(output))
      .bind_blob(6, to_blob(std::span(run.parts)))
      .bind_blob(7, to_blob(std::span(run.inputs)))
      .bind_blob(8, to_blob(std::span(run.sights)))
      .run();
}

Result<std::optional<LastRun>> ActionStore::last_run(const Key& action) {
  SB_TRY(sqlite::Statement * find,
         statement("SELECT action, list, result, output, parts, inputs, sights FROM last_run WHERE action=? "
                   "ORDER BY ran_ms DESC, rowid DESC LIMIT 1"));
  return read_run(find->bind_blob(1, action.bytes()));
}

Result<std::optional<LastRun>> ActionStore::last_run_that_made(const std::string& output) {
  SB_TRY(
      sqlite::Statement * find,
      statement("SELECT action, list, result, output, parts, inputs, sights FROM last_run "
                "WHERE output=(SELECT id FROM path WHERE text=?) ORDER BY ran_ms DESC, rowid DESC LIMIT 1"));
  return read_run(find->bind(1, output));
}

Result<std::optional<LastRun>> ActionStore::read_run(sqlite::Statement& find) {
  SB_TRY(const bool there, find.step());
  if (!there) return std::nullopt;
  LastRun run{.action = Key::from_bytes(find.text(0)),
              .list = find.integer(1),
              .result = Key::from_bytes(find.text(2)),
              .output = {},
              .parts = numbers_from<std::uint64_t>(find.text(4)),
              .inputs = numbers_from<PathId>(find.text(5)),
              .sights = numbers_from<Sight>(find.text(6))};
  const auto output = static_cast<PathId>(find.integer(3));
  SB_CHECK(find.run());
  SB_TRY(run.output, path(output));
  return run;
}

Status ActionStore::touch(std::span<const Key> keys, std::int64_t now_ms) {
  // Once a day is enough to know what is used; a no-op build then writes nothing.
  constexpr std::int64_t kDayMs = 86'400'000;
  SB_TRY(sqlite::Statement * renew, statement("UPDATE result SET used_ms=? WHERE key=? AND used_ms<?"));
  for (const Key& key : keys) {
    SB_CHECK(renew->bind(1, now_ms).bind_blob(2, key.bytes()).bind(3, now_ms - kDayMs).run());
    SB_CHECK(give_way());
  }
  return {};
}

Status ActionStore::forget(const Key& key) {
  SB_TRY(sqlite::Statement * drop, statement("DELETE FROM result WHERE key=?"));
  SB_CHECK(drop->bind_blob(1, key.bytes()).run());
  SB_TRY(sqlite::Statement * drop_run, statement("DELETE FROM last_run WHERE result=?"));
  return drop_run->bind_blob(1, key.bytes()).run();
}

Status ActionStore::reject(const Key& key, const std::vector<Output>& outputs) {
  SB_TRY(sqlite::Statement * add, statement("INSERT OR REPLACE INTO wrong(key, outputs) VALUES(?,?)"));
  SB_CHECK(add->bind_blob(1, key.bytes()).bind_blob(2, key_of_outputs(outputs).bytes()).run());
  return forget(key);
}

Result<std::optional<Content>> ActionStore::content(const FileState& state) {
  SB_TRY(
      sqlite::Statement * find,
      statement("SELECT digest, traits FROM inode WHERE device=? AND inode=? AND size=? AND mtime_ns=? AND "
                "ctime_ns=?"));
  SB_TRY(const bool there, find->bind(1, state.device)
                               .bind(2, state.inode)
                               .bind(3, state.size)
                               .bind(4, state.mtime_ns)
                               .bind(5, state.ctime_ns)
                               .step());
  if (!there) return std::nullopt;
  Content content{.digest = Key::from_bytes(find->text(0)), .traits = find->text(1)};
  SB_CHECK(find->run());
  return content;
}

Status ActionStore::remember(const FileState& state, const Content& content) {
  SB_TRY(sqlite::Statement * add,
         statement("INSERT OR REPLACE INTO inode(device, inode, size, mtime_ns, ctime_ns, digest, traits) "
                   "VALUES(?,?,?,?,?,?,?)"));
  SB_CHECK(add->bind(1, state.device)
               .bind(2, state.inode)
               .bind(3, state.size)
               .bind(4, state.mtime_ns)
               .bind(5, state.ctime_ns)
               .bind_blob(6, content.digest.bytes())
               .bind(7, content.traits)
               .run());
  return give_way();
}

Result<std::optional<std::string>> ActionStore::tool(const Key& key) {
  SB_TRY(sqlite::Statement * find, statement("SELECT description FROM tool WHERE key=?"));
  SB_TRY(const bool there, find->bind_blob(1, key.bytes()).step());
  if (!there) return std::nullopt;
  std::string description = find->text(0);
  SB_CHECK(find->run());
  return description;
}

Status ActionStore::remember_tool(const Key& key, const std::string& description) {
  SB_TRY(sqlite::Statement * add, statement("INSERT OR REPLACE INTO tool(key, description) VALUES(?,?)"));
  return add->bind_blob(1, key.bytes()).bind(2, description).run();
}

Status ActionStore::note_build(const BuildNote& note) {
  std::string keys;
  for (const Key& key : note.results) keys += key.bytes();
  SB_TRY(sqlite::Statement * add,
         statement("INSERT INTO build(at_ms, owner, edges, hits, results) VALUES(?,?,?,?,?)"));
  SB_CHECK(add->bind(1, note.at_ms)
               .bind(2, note.owner)
               .bind(3, note.edges)
               .bind(4, note.hits)
               .bind_blob(5, keys)
               .run());
  SB_TRY(sqlite::Statement * forget, statement("DELETE FROM build WHERE id <= ?"));
  return forget->bind(1, database_.last_insert_id() - kMostBuilds).run();
}

Result<std::vector<BuildNote>> ActionStore::builds() {
  SB_TRY(sqlite::Statement * find,
         statement("SELECT at_ms, owner, edges, hits, results FROM build ORDER BY id DESC"));
  std::vector<BuildNote> notes;
  while (true) {
    SB_TRY(const bool row, find->step());
    if (!row) return notes;
    BuildNote note{.at_ms = find->integer(0),
                   .owner = find->integer(1),
                   .edges = static_cast<int>(find->integer(2)),
                   .hits = static_cast<int>(find->integer(3))};
    const std::string keys = find->text(4);
    for (std::size_t at = 0; at + kKeyBytes <= keys.size(); at += kKeyBytes)
      note.results.push_back(Key::from_bytes(std::string_view(keys).substr(at, kKeyBytes)));
    notes.push_back(std::move(note));
  }
}

Result<std::vector<ResultRow>> ActionStore::results() {
  SB_TRY(sqlite::Statement * find,
         statement("SELECT key, owner, used_ms, outputs FROM result ORDER BY used_ms, key"));
  std::vector<ResultRow> rows;
  while (true) {
    SB_TRY(const bool more, find->step());
    if (!more) return rows;
    ResultRow row{
        .key = Key::from_bytes(find->text(0)), .owner = find->integer(1), .used_ms = find->integer(2)};
    // One that cannot be read has no outputs, and is of no use.
    if (auto outputs = outputs_from(find->text(3))) row.outputs = *std::move(outputs);
    rows.push_back(std::move(row));
  }
}

Status ActionStore::drop(std::span<const ResultRow> rows) {
  SB_TRY(sqlite::Statement * drop, statement("DELETE FROM result WHERE key=? AND owner=?"));
  SB_TRY(sqlite::Statement * drop_run, statement("DELETE FROM last_run WHERE result=?"));
  SB_CHECK(begin_writing());
  const Status dropped = [&]() -> Status {
    for (const ResultRow& row : rows) {
      SB_CHECK(drop->bind_blob(1, row.key.bytes()).bind(2, row.owner).run());
      SB_CHECK(drop_run->bind_blob(1, row.key.bytes()).run());
      SB_CHECK(give_way());
    }
    return {};
  }();
  SB_CHECK(end_writing());
  return dropped;
}

Status ActionStore::sweep() {
  SB_CHECK(begin_writing());
  const Status swept = [&]() -> Status {
    // Of a result that does not say its action, any list may be.
    SB_CHECK(database_.execute(
        "DELETE FROM shown WHERE action NOT IN (SELECT action FROM result WHERE action IS NOT NULL) "
        "AND NOT EXISTS (SELECT 1 FROM result WHERE action IS NULL)"));
    // The newest number stays, so that SQLite gives it to nobody else.
    SB_CHECK(
        database_.execute("DELETE FROM input_list WHERE id NOT IN (SELECT list FROM shown) AND id NOT IN "
                          "(SELECT list FROM last_run) "
                          "AND id < (SELECT max(id) FROM input_list)"));
    return remove_unnamed_paths();
  }();
  SB_CHECK(end_writing());
  return swept;
}

Status ActionStore::remove_unnamed_paths() {
  std::unordered_set<PathId> named;
  for (const char* sql : {"SELECT paths FROM input_list", "SELECT inputs FROM last_run"}) {
    SB_TRY(sqlite::Statement * find, statement(sql));
    while (true) {
      SB_TRY(const bool row, find->step());
      if (!row) break;
      const std::vector<PathId> ids = numbers_from<PathId>(find->text(0));
      named.insert(ids.begin(), ids.end());
    }
  }
  SB_TRY(sqlite::Statement * find,
         statement("SELECT id FROM path WHERE id NOT IN (SELECT output FROM last_run) "
                   "AND id < (SELECT max(id) FROM path)"));
  std::vector<PathId> unnamed;
  while (true) {
    SB_TRY(const bool row, find->step());
    if (!row) break;
    const auto id = static_cast<PathId>(find->integer(0));
    if (!named.contains(id)) unnamed.push_back(id);
  }
  if (unnamed.empty()) return {};
  SB_CHECK(database_.execute("UPDATE swept SET times = times + 1"));
  path_ids_.clear();
  SB_TRY(sqlite::Statement * remove, statement("DELETE FROM path WHERE id=?"));
  for (const PathId id : unnamed) SB_CHECK(remove->bind(1, static_cast<std::int64_t>(id)).run());
  return {};
}

Result<std::vector<Key>> ActionStore::keys_of(std::int64_t owner) {
  SB_TRY(sqlite::Statement * find, statement("SELECT key FROM result WHERE owner=?"));
  find->bind(1, owner);
  std::vector<Key> keys;
  while (true) {
    SB_TRY(const bool row, find->step());
    if (!row) return keys;
    keys.push_back(Key::from_bytes(find->text(0)));
  }
}

Status ActionStore::trust(std::int64_t owner) {
  if (owner == 0) return {};
  SB_TRY(const std::vector<Key> keys, keys_of(owner));
  SB_TRY(sqlite::Statement * move, statement("UPDATE OR REPLACE result SET owner=0 WHERE key=? AND owner=?"));
  SB_CHECK(begin_writing());
  const Status moved = [&]() -> Status {
    for (const Key& key : keys) {
      SB_CHECK(move->bind_blob(1, key.bytes()).bind(2, owner).run());
      SB_CHECK(give_way());
    }
    return {};
  }();
  SB_CHECK(end_writing());
  return moved;
}

Status ActionStore::distrust(std::int64_t owner) {
  if (owner == 0) return {};
  SB_TRY(const std::vector<Key> keys, keys_of(owner));
  std::vector<ResultRow> rows;
  rows.reserve(keys.size());
  for (const Key& key : keys) rows.push_back({.key = key, .owner = owner});
  return drop(rows);
}

}  // namespace sb::cache
