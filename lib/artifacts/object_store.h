// ObjectStore: bytes by digest, verified on read. The only place where built bytes are kept.
//
// Layout: state/objects/ab/cdef…, named by XXH3-128 (32 hex digits) and, so that a collision of a
// non-cryptographic hash can never hand out other bytes, by length: "<30 hex digits>-<size>". Files are 0444
// and never changed. Several processes may use one store at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::os {
class FileSystem;
}

namespace sb::artifacts {

struct ObjectId {
  std::string xxh3;  // 32 hex digits
  std::uint64_t size = 0;
  friend bool operator==(const ObjectId&, const ObjectId&) = default;
  [[nodiscard]] std::string to_string() const;  // "<xxh3>-<size>"
  [[nodiscard]] static Result<ObjectId> parse(std::string_view text);
};

struct StoredFile {
  ObjectId id;
  std::string sha256;  // 64 hex digits, computed in the same pass
};

class ObjectStore {
 public:
  ObjectStore(std::filesystem::path root, os::FileSystem& files) : root_(std::move(root)), files_(files) {}

  // Durable when it returns. Storing what is there already writes nothing (but verifies what is there, and
  // replaces it when it is damaged).
  [[nodiscard]] Result<StoredFile> put_file(const std::filesystem::path& path);
  [[nodiscard]] Result<StoredFile> put_bytes(std::string_view bytes);

  // The bytes, verified. corrupt when they are not what was stored (the damaged file is set aside as
  // <name>.damaged, never used again); not_found when there are none.
  [[nodiscard]] Result<std::string> get_bytes(const ObjectId& id) const;
  // Copies the bytes to a new file (which must not exist) while verifying them, fsynced. Never a hard link:
  // the copy may be rewritten in place by strip or mold. The file and its folder are on disk when it returns;
  // after an error there is no file. conflict when the path is taken.
  [[nodiscard]] Status copy_to(const ObjectId& id, const std::filesystem::path& path, unsigned mode) const;
  [[nodiscard]] bool contains(const ObjectId& id) const;

  struct Collected {
    int objects = 0;
    std::uint64_t bytes = 0;
  };
  // Removes every object for which keep(id) is false and that was last stored more than an hour ago (a writer
  // may not have recorded it yet), and what damage and crashes left behind. Writers in other processes wait
  // meanwhile.
  [[nodiscard]] Result<Collected> collect(const std::function<bool(const ObjectId&)>& keep);

 private:
  [[nodiscard]] std::filesystem::path path_of(const ObjectId& id) const;
  [[nodiscard]] Status keep_incoming(const std::filesystem::path& incoming, const StoredFile& file);

  std::filesystem::path root_;
  os::FileSystem& files_;
};

}  // namespace sb::artifacts
