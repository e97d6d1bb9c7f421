// TreeWriter: the only code that writes into a stage. Every path is resolved beneath the stage's own folder
// without following a symlink, also one that a hostile build planted there: such a symlink is removed, never
// followed.
//
// A file replaces another one whole: a temporary name in the same folder, then rename. No filters, no line
// end conversion, modes 0644 and 0755 whatever the umask. Nothing is fsynced; slot_state.h makes an
// unfinished move visible instead.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <sys/stat.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::staging {

class TreeWriter {
 public:
  // How folders are resolved: openat2(2), or where a kernel or a seccomp filter lacks it, one component after
  // the other with O_NOFOLLOW. Equally safe; `detect` takes openat2 until it is refused once.
  enum class Resolve { detect, by_component };

  // The folder must exist and not be a symlink itself.
  [[nodiscard]] static Result<TreeWriter> open(const std::filesystem::path& folder,
                                               Resolve resolve = Resolve::detect);

  // Folders above are made; what is in the way (a symlink, a file, a folder) is removed. The result is the
  // state of the new file, for the index. Paths must have passed check_structure of path_rules.h, or be "." +
  // name.
  [[nodiscard]] Result<struct stat> write_file(const std::string& path, std::string_view bytes,
                                               bool executable);
  [[nodiscard]] Result<struct stat> write_symlink(const std::string& path, const std::string& target);
  [[nodiscard]] Result<struct stat> make_folder(const std::string& path);
  // Removes a file, a symlink or a folder with all below it, then the folders above that became empty. Fine
  // when nothing is there.
  [[nodiscard]] Status remove(const std::string& path);

  // Reads a regular file (bytes) or a symlink (its text) without following any. not_found for everything
  // else.
  [[nodiscard]] Result<std::string> read(const std::string& path) const;
  // The folder itself, or one below it, for looking around.
  [[nodiscard]] Result<UniqueFd> open_folder(const std::string& path) const;

 private:
  explicit TreeWriter(UniqueFd root, bool use_openat2) : root_(std::move(root)), use_openat2_(use_openat2) {}
  // Borrowed until the next call: files come folder by folder, so the last one stays open.
  [[nodiscard]] Result<int> folder_for_writing(const std::string& path);
  [[nodiscard]] Result<UniqueFd> open_for_writing(const std::string& path);
  // -1 with errno: ENOENT when missing; ELOOP, ENOTDIR or EXDEV when something that is no folder is in the
  // way.
  [[nodiscard]] int open_beneath(const std::string& path) const;
  [[nodiscard]] Result<struct stat> put(int folder, const std::string& temporary, const std::string& path);
  [[nodiscard]] Status remove_entry(int folder, const std::string& name);
  [[nodiscard]] std::string temporary_name();

  UniqueFd root_;
  std::string last_path_;
  UniqueFd last_folder_;
  mutable bool use_openat2_;
  unsigned counter_ = 0;
};

}  // namespace sb::staging
