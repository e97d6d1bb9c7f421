// StageListing: which files a stage has, by their last name. A header that is added earlier on an include
// path has, whatever folder it is in, the name of the one that it shadows: whether an include finds the same
// file again can only depend on the files of that name.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/normal_form.h"

namespace sb::cache {

class StageListing {
 public:
  // Walks the source folder (without .git) and, when it is not inside, the build folder. About 1 µs a file.
  [[nodiscard]] static Result<StageListing> make(const Places& places);

  // A file that a build will make; as the commands see it. Adding one that is there changes nothing.
  void add(std::string_view seen);
  // The paths of all files of this name, in no order.
  [[nodiscard]] const std::vector<std::string>& of_name(std::string_view name) const;
  // Depends on every symlink of the source folder: one to a folder gives all files in it new paths.
  [[nodiscard]] Key links() const { return links_; }
  // Whether one may lead to a folder: the files in it have more names than are listed.
  [[nodiscard]] bool links_folders() const { return links_folders_; }
  // Of all paths.
  [[nodiscard]] Key whole() const { return whole_; }
  [[nodiscard]] bool had(std::string_view seen) const;
  // Every path, in no order.
  template <typename Visit>
  void each(const Visit& visit) const {
    for (const auto& [name, paths] : by_name_) {
      for (const std::string& path : paths) visit(path);
    }
  }

 private:
  NormalForm normal_;
  std::unordered_map<std::string, std::vector<std::string>> by_name_;
  std::unordered_map<Key, bool> paths_;
  Key whole_;
  Key links_;
  bool links_folders_ = false;
};

// Every file and folder ("…/") of the source, relative, without .git; sorted. As the scripts of CMake could
// list it.
[[nodiscard]] std::vector<std::string> source_paths(const Places& places);

// Every file below a folder, both as the commands see them, without a .git in it; sorted. Stops when there
// are more than `most`.
[[nodiscard]] std::vector<std::string> files_below(const Places& places, const std::string& folder,
                                                   std::size_t most);

}  // namespace sb::cache
