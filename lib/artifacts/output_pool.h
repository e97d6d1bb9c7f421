// OutputPool: build outputs by digest, for builds that start from nothing. A cache: what is lost is built
// again, so nothing is synced, and every object is verified when it is used (XXH3-128 and its length).
//
// An object may share its inode with files in build folders (a hard link), because a link is what makes a
// stage cheap. Only a file that no later step rewrites in place may be shared; the digest tells when one was.
// Several processes may use one pool.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <sys/stat.h>

#include "base/key.h"
#include "base/result.h"

namespace sb::artifacts {

struct PooledId {
  Key digest;
  std::uint64_t size = 0;
  friend auto operator<=>(const PooledId&, const PooledId&) = default;
};

enum class Sharing { copy, link };

class OutputPool {
 public:
  explicit OutputPool(std::filesystem::path root) : root_(std::move(root)) {}

  // Keeps the bytes of a regular file, and mends an object that was damaged. With Sharing::link the object
  // becomes another name of that file, which loses its write permission; a file system that cannot link gets
  // a copy. refused for anything but a regular file.
  [[nodiscard]] Result<PooledId> put(const std::filesystem::path& file, Sharing sharing) const;
  // Keeps bytes that came from elsewhere, when they are those of `id`; corrupt when not.
  [[nodiscard]] Status put_bytes(const PooledId& id, std::string_view bytes) const;

  // Makes `to`, which must not exist, hold the object. A copy gets `mode` and `mtime`; so does a link's
  // content never: it keeps those of the object. not_found; corrupt when the bytes are others, which are then
  // set aside: the caller builds.
  [[nodiscard]] Status place(const PooledId& id, const std::filesystem::path& to, Sharing sharing,
                             unsigned mode, std::int64_t mtime_ns) const;

  // stat(2) of the object, when it is there with the right size. Reads no bytes.
  [[nodiscard]] std::optional<struct stat> find(const PooledId& id) const;
  // Reads it whole. False when it is missing, or was damaged and is set aside now.
  [[nodiscard]] bool verify(const PooledId& id) const;
  [[nodiscard]] Status remove(const PooledId& id) const;

  [[nodiscard]] std::filesystem::path path_of(const PooledId& id) const;
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  [[nodiscard]] static std::filesystem::path temporary(const std::filesystem::path& object);

  std::filesystem::path root_;
};

// XXH3-128 and length of a whole open file, by mapping it.
[[nodiscard]] Result<PooledId> digest_of_file(int fd);

}  // namespace sb::artifacts
