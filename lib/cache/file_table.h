// FileTable: what one build's decisions know of files: their paths as numbers, their digests (each file is
// read at most once, and not at all when the store knows its inode), their times.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/key.h"
#include "base/name_table.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/contents.h"
#include "cache/places.h"

namespace sb::cache {

class FileTable {
 public:
  using Number = NameTable::Number;
  enum class Type : std::uint8_t { missing, regular, folder, other };
  struct Known {
    Type type = Type::missing;
    Key digest;  // of a regular file
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    Traits traits;       // through traits() only
    std::string pooled;  // where the bytes of a promised file lie until it is placed
  };

  FileTable(const Places& places, ActionStore& store) : places_(places), store_(store) {}

  // Of an absolute path as the commands see it.
  [[nodiscard]] Number number(std::string_view seen);
  [[nodiscard]] const std::string& path(Number file) const { return entries_[file].path; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // Looks at the file once. environment when it is there and cannot be read.
  [[nodiscard]] Result<const Known*> known(Number file);
  // The same for many, on every processor.
  [[nodiscard]] Status know(std::span<const Number> files);
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
  struct Look {
    Number file = 0;
    Known known;
    FileState state{};
    bool is_racy = false;
    bool is_read = false;  // it must be: the store does not know it
    Status done{};
  };
  void look(Look& look) const;  // on any thread
  [[nodiscard]] Status recall(Look& look);
  void read(Look& look) const;  // on any thread
  [[nodiscard]] Status end(Look look);

  const Places& places_;
  ActionStore& store_;
  std::deque<Entry> entries_;
  NameTable numbers_;  // of entries_, by path
  std::vector<std::pair<FileState, Content>> fresh_;
};

}  // namespace sb::cache
