// What the tests of the object store share: a store in a temporary folder, and a look behind its interface.
#pragma once

#include <set>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "artifacts/object_store.h"
#include "support/faulty_file_system.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::artifacts {

class StoreTest : public ::testing::Test {
 protected:
  // Where the header says that an object's bytes are.
  [[nodiscard]] std::filesystem::path file_of(const ObjectId& id) const {
    return root_ / id.xxh3.substr(0, 2) / (id.xxh3.substr(2) + "-" + std::to_string(id.size));
  }
  // Every file of the store but for its lock, relative to its folder.
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      const std::string name = entry.path().lexically_relative(root_).string();
      if (entry.is_regular_file() && name != "lock") names.insert(name);
    }
    return names;
  }
  static ino_t inode(const std::filesystem::path& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }
  static unsigned mode(const std::filesystem::path& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::filesystem::path root_ = folder_.path() / "state" / "objects";
  tests::FaultyFileSystem file_system_;
  ObjectStore store_{root_, file_system_};
};

}  // namespace sb::artifacts
