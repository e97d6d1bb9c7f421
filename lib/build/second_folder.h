// SecondFolder: a throw-away folder in the build cache, for a copy of a stage.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::build {

class SecondFolder {
 public:
  // Empty, and this process's alone. What a killed one left there is removed first.
  [[nodiscard]] static Result<SecondFolder> make(const std::filesystem::path& cache);
  SecondFolder(SecondFolder&& other) noexcept = default;
  SecondFolder& operator=(SecondFolder&&) = delete;
  ~SecondFolder();  // removes it
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  SecondFolder(std::filesystem::path path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  UniqueFd lock_;
};

// Everything below a folder, with its times: files as clones or copies that share nothing with the original,
// symlinks as they are. `to` must not exist. What is neither file, folder nor symlink is left out.
[[nodiscard]] Status copy_tree(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace sb::build
