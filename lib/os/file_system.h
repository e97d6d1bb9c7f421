// FileSystem: the few file operations that must be durable or must be seen to fail in tests.
// Reading and looking around may use the standard library; what has to survive a power cut goes through here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::os {

namespace fs = std::filesystem;

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // Replaces path by bytes: temporary in the same folder, fsync, rename, fsync of the folder. Afterwards path
  // holds all of the bytes or what it held before. Permission bits as given, not reduced by the umask.
  [[nodiscard]] virtual Status write_durably(const fs::path& path, std::string_view bytes,
                                             unsigned mode = 0644) = 0;
  // Makes link a symlink to target (text as given) by rename, then fsyncs the folder.
  [[nodiscard]] virtual Status point_durably(const fs::path& link, const fs::path& target) = 0;
  // Renames and fsyncs the folder of `to`.
  [[nodiscard]] virtual Status rename_durably(const fs::path& from, const fs::path& to) = 0;
};

class RealFileSystem : public FileSystem {
 public:
  [[nodiscard]] Status write_durably(const fs::path& path, std::string_view bytes, unsigned mode) override;
  [[nodiscard]] Status point_durably(const fs::path& link, const fs::path& target) override;
  [[nodiscard]] Status rename_durably(const fs::path& from, const fs::path& to) override;

 protected:
  [[nodiscard]] virtual Status sync_names_in(const fs::path& folder);
};

// fsync of the names in a folder.
[[nodiscard]] Status sync_folder(const fs::path& folder);

// The time of files that a build must see as older than all that it makes: 2000-01-01T00:00:00Z, in ns.
// Staged sources have it, so that two stages of one tree differ in nothing.
inline constexpr std::int64_t kSourceTimeNs = 946'684'800'000'000'000;

// Whole file as bytes. Errors: not_found, environment, refused above max_bytes.
[[nodiscard]] Result<std::string> read_file(const fs::path& path, std::size_t max_bytes = 1U << 30U);
// By rename, so that a reader sees all or nothing; without waiting for the disk. What a killed writer leaves
// ("NAME.PID") stays.
[[nodiscard]] Status replace_file(const fs::path& path, std::string_view bytes);
// mkdir -p with the given mode for what is made; fine when it is there.
[[nodiscard]] Status make_folders(const fs::path& path);
// rm -rf that never follows a symlink out of the tree; fine when nothing is there. Makes read-only folders
// writable on the way.
[[nodiscard]] Status remove_tree(const fs::path& path);
// The text of a symlink; not_found when there is none.
[[nodiscard]] Result<fs::path> read_link(const fs::path& link);

// A fresh folder under TMPDIR, removed with everything in it at the end of scope.
class TemporaryFolder {
 public:
  [[nodiscard]] static Result<TemporaryFolder> make(std::string_view prefix);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;
  ~TemporaryFolder();
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

}  // namespace sb::os
