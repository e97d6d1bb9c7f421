// The store's own system calls: opening, streaming with digests, syncing. Private to this folder.
#pragma once

#include <filesystem>
#include <optional>

#include <sys/stat.h>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::artifacts {

// A regular file, for reading. not_found when there is none; refused for a folder, pipe or device.
[[nodiscard]] Result<UniqueFd> open_regular(const std::filesystem::path& path);
// Reads `in` to its end; writes the bytes to `out` unless that is -1. The digests are of what was read.
[[nodiscard]] Result<DigestStream::Digests> stream(int in, int out);
[[nodiscard]] Status write_all(int fd, std::string_view bytes);
// Sets the permission bits and syncs the data.
[[nodiscard]] Status seal(int fd, unsigned mode, const std::filesystem::path& path);
// mkdir, and the entry in the folder above is on disk, whoever made it.
[[nodiscard]] Status make_folder_durably(const std::filesystem::path& folder);

// A new file with a name of its own in folder, mode 0600; removed at the end of scope unless it was renamed
// away.
class Incoming {
 public:
  [[nodiscard]] static Result<Incoming> make(const std::filesystem::path& folder);
  Incoming(Incoming&& other) noexcept : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}
  Incoming& operator=(Incoming&&) = delete;
  ~Incoming();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void was_renamed() { path_.clear(); }

 private:
  Incoming(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::filesystem::path path_;
  UniqueFd fd_;
};
inline constexpr std::string_view kIncomingPrefix = "incoming.";

// flock on <folder>/lock: writers share it, the collector has it alone. Waits.
[[nodiscard]] Result<UniqueFd> lock_store(const std::filesystem::path& folder, bool alone);

}  // namespace sb::artifacts
