// FileTable: what one build's decisions know of files: their paths as numbers, their digests (each file is
// read at most once, and not at all when the store knows its inode), their times.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/contents.h"
#include "cache/places.h"

namespace sb::cache {

class FileTable {
 public:
  using Number = std::uint32_t;
  enum class Type : std::uint8_t { missing, regular, folder, other };
  struct Known {
    Type type = Type::missing;
    Key digest;  // of a regular file
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    Traits traits;       // through traits() only
    std::string pooled;  // where the bytes of a promised file lie until it is placed
  };

  FileTable(const Places& places, ActionStore& store);
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;
  ~FileTable();

  // Of an absolute path as the commands see it.
  [[nodiscard]] Number number(std::string_view seen);
  [[nodiscard]] const std::string& path(Number file) const { return entries_[file].path; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // Looks at the file once. environment when it is there and cannot be read.
  [[nodiscard]] Result<const Known*> known(Number file);
  // Begins to read, on other processors, those of the files that are so young that the store cannot know
  // them. take_ahead() helps and waits; until then known() reads what it is asked for by itself.
  void read_ahead(std::span<const Number> files);
  void take_ahead();
  // An output that will be placed: its content follows from the cache.
  void promise(Number file, const Key& digest, std::int64_t mtime_ns, std::string pooled);
  // Of a known regular file; reads a promised one's bytes where they lie.
  [[nodiscard]] Result<const Traits*> traits(Number file);
  // Forgets what was seen or promised, e.g. because an edge ran.
  void forget(Number file) { entries_[file].known.reset(); }

  // Keeps the digests that were computed, in the store's open transaction. Files that changed within the last
  // seconds are not kept: they may change again without showing it (racy git's problem,
  // https://git-scm.com/docs/racy-git).
  [[nodiscard]] Status remember();

 private:
  struct Entry {
    std::string path;
    std::optional<Known> known;
  };
  struct Look;
  class ReadAhead;
  [[nodiscard]] Result<Known> look(const std::string& path);
  [[nodiscard]] Known note(Look look);

  const Places& places_;
  ActionStore& store_;
  std::deque<Entry> entries_;
  std::unordered_map<std::string_view, Number> numbers_;  // views into entries_
  std::vector<std::pair<FileState, Content>> fresh_;
  std::unique_ptr<ReadAhead> ahead_;
};

}  // namespace sb::cache
