// ActionStore: the index of the build cache, in SQLite. It says which inputs an action has shown to read, and
// what it made of their contents; the bytes lie in artifacts::OutputPool. Several processes may use it at
// once. Writes are not synced: after a power cut the newest may be missing, none is wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "artifacts/output_pool.h"
#include "base/key.h"
#include "base/result.h"
#include "sqlite/database.h"

namespace sb::cache {

// One file that an edge made.
struct Output {
  enum class Kind : std::uint8_t { shared, copied, symlink, folder };
  Kind kind = Kind::copied;
  bool executable = false;
  std::string path;          // relative to the build folder, or absolute as the run saw it
  artifacts::PooledId id{};  // of a file
  std::string link{};        // the text of a symlink
  friend bool operator==(const Output&, const Output&) = default;
};

// Whether its bytes lie in the pool.
[[nodiscard]] inline bool has_bytes(const Output& output) {
  return output.kind == Output::Kind::shared || output.kind == Output::Kind::copied;
}

// For each its kind, flags, digest, size, path and link text. Nothing: these are no such bytes.
[[nodiscard]] std::string to_bytes(const std::vector<Output>& outputs);
[[nodiscard]] std::optional<std::vector<Output>> outputs_from(std::string_view bytes);

struct ActionResult {
  std::vector<Output> outputs;
  std::string printed;
  std::int64_t took_ms = 0;
};

// What a run saw of one input, as short as tells one from another: not to decide by, only to explain.
struct Sight {
  std::uint32_t content = 0;
  std::uint32_t around = 0;  // what would have been found in its place
  friend bool operator==(const Sight&, const Sight&) = default;
};
static_assert(sizeof(Sight) == 8);

// The newest run of an action that was kept.
struct LastRun {
  Key action;
  std::int64_t list = 0;  // as shown; 0: it reports no inputs
  Key result;
  std::string output;                   // the first one, as the run saw it
  std::vector<std::uint64_t> parts;     // of the action; reasons.cc says which
  std::vector<std::uint32_t> inputs{};  // paths that were known before it ran
  std::vector<Sight> sights{};          // as EdgeKeys::sights gives them
};

// What is known of a file's content, and of what it asks the preprocessor.
struct Content {
  Key digest;
  std::string traits;  // contents.h
};
struct FileState {
  std::int64_t device, inode, size, mtime_ns, ctime_ns;
};

// A build that has ended.
struct BuildNote {
  std::int64_t at_ms = 0;
  std::int64_t owner = 0;
  int edges = 0;
  int hits = 0;
  std::vector<Key> results{};  // that it used or made
};
struct ResultRow {
  Key key;
  std::int64_t owner = 0;
  std::int64_t used_ms = 0;
  std::vector<Output> outputs{};
};

class ActionStore {
 public:
  using PathId = std::uint32_t;
  using ListId = std::int64_t;

  // A file that is no database any more is set aside ("….damaged"), and a new one begun.
  [[nodiscard]] static Result<ActionStore> open(const std::filesystem::path& file);
  // After an error of kind corrupt: reads the whole file, and sets it aside when it is damaged inside.
  [[nodiscard]] static Status mend(const std::filesystem::path& file);

  // What is read until the end of the scope is read in one go: without it SQLite locks and unlocks its files
  // for every question. Not nested, and nothing is written meanwhile.
  class Reading {
   public:
    explicit Reading(ActionStore& store) : store_(store) { (void)store_.database_.execute("BEGIN"); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading() { (void)store_.database_.execute("COMMIT"); }

   private:
    ActionStore& store_;
  };
  // Hundreds of rows between cost one lock; but nobody else need wait long for it: when 5 ms are over,
  // others get a turn after the row that is complete. What was written is then there, also when the rest
  // fails.
  [[nodiscard]] Status begin_writing();
  [[nodiscard]] Status end_writing();
  // The longest that this store had to wait for others so far.
  [[nodiscard]] std::chrono::nanoseconds longest_wait() const { return database_.longest_wait(); }

  [[nodiscard]] Result<PathId> path_id(const std::string& text);  // adds it; only while writing
  [[nodiscard]] Result<std::string> path(PathId id);
  [[nodiscard]] Result<ListId> list_id(std::span<const PathId> paths);  // adds it; only while writing
  [[nodiscard]] Result<std::vector<PathId>> list(ListId id);

  // The same number as long as no result was removed, by whomever.
  [[nodiscard]] Result<std::int64_t> removed();
  // Of a path that is known to have this number.
  void know_path(PathId id, std::string text) { paths_.try_emplace(id, std::move(text)); }

  [[nodiscard]] Result<std::vector<ListId>> lists_of(const Key& action);  // newest first, at most 16
  // owner 0 sees trusted results only; a cycle its own, too.
  [[nodiscard]] Result<std::optional<ActionResult>> result(const Key& key, std::int64_t owner);
  // False: it was found to be wrong, and is left out.
  [[nodiscard]] Result<bool> record(const Key& action, std::optional<ListId> list, const Key& key,
                                    std::int64_t owner, const ActionResult& result, std::int64_t now_ms);
  // For explanations; no build asks for it. A run goes with its result.
  [[nodiscard]] Status note_run(const LastRun& run, std::int64_t now_ms);  // only while writing
  [[nodiscard]] Result<std::optional<LastRun>> last_run(const Key& action);
  [[nodiscard]] Result<std::optional<LastRun>> last_run_that_made(const std::string& output);
  [[nodiscard]] Status touch(std::span<const Key> keys, std::int64_t now_ms);
  [[nodiscard]] Status forget(const Key& key);
  // It is wrong, and dropped: record() leaves out the same outputs from now on, whoever offers them.
  [[nodiscard]] Status reject(const Key& key, const std::vector<Output>& outputs);

  [[nodiscard]] Result<std::optional<Content>> content(const FileState& state);
  [[nodiscard]] Status remember(const FileState& state, const Content& content);

  // What follows from contents of the host alone: a compiler's parts, Ninja's version, the words of a module.
  [[nodiscard]] Result<std::optional<std::string>> tool(const Key& key);
  [[nodiscard]] Status remember_tool(const Key& key, const std::string& description);

  [[nodiscard]] Status note_build(const BuildNote& note);  // only while writing
  [[nodiscard]] Result<std::vector<BuildNote>> builds();   // newest first, at most 200
  [[nodiscard]] Result<std::vector<ResultRow>> results();  // the longest unused first
  // Results, and what only they needed.
  [[nodiscard]] Status drop(std::span<const ResultRow> rows);
  // Input lists and paths that no result and no run needs any more; others wait meanwhile.
  [[nodiscard]] Status sweep();

  // The change of a cycle was kept: its results are everybody's. Or it was not: they are gone. May be
  // repeated.
  [[nodiscard]] Status trust(std::int64_t owner);
  [[nodiscard]] Status distrust(std::int64_t owner);

 private:
  struct Statements;
  explicit ActionStore(sqlite::Database database);
  [[nodiscard]] static Result<ActionStore> open_whole(const std::filesystem::path& file);
  [[nodiscard]] static Status set_aside(const std::filesystem::path& file);
  Result<sqlite::Statement*> statement(const char* sql);
  [[nodiscard]] Result<std::vector<Key>> keys_of(std::int64_t owner);
  [[nodiscard]] Status forget_swept_paths();
  [[nodiscard]] Status remove_unnamed_paths();
  [[nodiscard]] Status give_way();  // after each row that makes sense by itself
  [[nodiscard]] Result<std::optional<LastRun>> read_run(sqlite::Statement& find);

  sqlite::Database database_;
  std::optional<std::chrono::steady_clock::time_point> writing_since_;
  std::unordered_map<const char*, sqlite::Statement> prepared_;
  std::unordered_map<PathId, std::string> paths_;
  std::unordered_map<std::string, PathId> path_ids_;
  std::int64_t swept_ = 0;  // how often paths had been removed when path_ids_ was right
};

}  // namespace sb::cache
