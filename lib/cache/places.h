// Places: where a build's files lie, and under which names its commands know them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sandbox/view.h"

namespace sb::cache {

// What stands for a stage's folder wherever it lies: its source is "tree" in there, its build folder "build".
inline constexpr std::string_view kStagePath = "/selfbuild";

struct Places {
  std::string source;  // absolute, as the commands see it
  std::string build;   // absolute, as the commands see it; they run there
  std::optional<sandbox::View> view;

  // A path as a command writes it → absolute and without "." and "..", as the commands see it.
  [[nodiscard]] std::string absolute(std::string_view path) const { return absolute(path, build); }
  [[nodiscard]] static std::string absolute(std::string_view path, std::string_view directory);
  // The same of one that has no "." and "..", but at its beginning: a build graph's.
  [[nodiscard]] std::string of_node(std::string_view path) const;
  // An absolute path as the commands see it → as we can open it.
  [[nodiscard]] std::string real(std::string_view seen) const;
  // An absolute path as a reader knows it: relative to the build or the source folder, when it is in one.
  [[nodiscard]] std::string shown(const std::string& seen) const;
  // Below the source or the build folder: what the stage brings along, not the host.
  [[nodiscard]] bool in_stage(std::string_view seen) const;
  // The same of a folder by what it really is: no symlink on the way leads out. Asks the file system. What a
  // build left may be hostile, and we are not in its sandbox.
  [[nodiscard]] bool stays_in_stage(const std::string& seen_folder) const;
};

// "a/b" is below "a", "ab" is not; a folder is not below itself.
[[nodiscard]] bool is_below(std::string_view path, std::string_view folder);

}  // namespace sb::cache
