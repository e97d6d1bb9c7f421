// StageListing: which files a stage has, by their last name. A header that is added earlier on an include
// path has, whatever folder it is in, the name of the one that it shadows: whether an include finds the same
// file again can only depend on the files of that name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/key.h"
#include "base/name_table.h"
#include "base/result.h"
#include "cache/normal_form.h"

namespace sb::cache {

class StageListing {
 public:
  // Walks the source folder (without .git) and, when it is not inside, the build folder. About 1 µs a file.
  [[nodiscard]] static Result<StageListing> make(const Places& places);

  // A file that a build will make; as the commands see it. Adding one that is there changes nothing.
  void add(std::string_view seen);
  // The paths of all files of this name, in no order. They live as long as the listing.
  [[nodiscard]] std::vector<std::string_view> of_name(std::string_view name) const;
  [[nodiscard]] std::size_t count_of_name(std::string_view name) const;
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
    for (NameTable::Number path = 0; path < paths_.size(); ++path) visit(paths_.name(path));
  }

 private:
  NormalForm normal_;
  static constexpr NameTable::Number kNone = ~NameTable::Number{0};
  Arena texts_;
  NameTable paths_;
  NameTable names_;  // the last ones of the paths
  struct Named {
    NameTable::Number last = kNone;  // of the paths with this name
    std::uint32_t count = 0;
  };
  std::vector<Named> named_;               // by name
  std::vector<NameTable::Number> before_;  // by path: the one of the same name that came before it
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
