// Workshop: one small CMake project, built in one fresh stage after the other with a build cache that all of
// them share; and, to know what is right, without any cache.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/builder.h"
#include "os/file_system.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::tests {

class Workshop : public testing::Test {
 protected:
  void SetUp() override;

  // The project as the next stage gets it. Paths are relative to the tree.
  void write(const std::string& path, const std::string& text) { files_[path] = {.text = text}; }
  void write_program(const std::string& path, const std::string& text) {
    files_[path] = {.text = text, .executable = true};
  }
  void link(const std::string& path, const std::string& target) {
    files_[path] = {.text = target, .symlink = true};
  }
  void remove(const std::string& path) { files_.erase(path); }
  // CMakeLists.txt: project(…), and then this.
  void cmake(const std::string& text);

  struct Built {
    build::BuildReport report;
    std::filesystem::path tree;
    std::filesystem::path build;
    [[nodiscard]] std::string bytes(const std::string& output) const { return read(build / output); }
  };
  // In a fresh stage, with the cache.
  [[nodiscard]] Result<Built> build();
  [[nodiscard]] Result<Built> build_without_cache();
  // Both, and every file that the edges make must be the same in both. Fails the test when they are not.
  Built build_and_compare();
  // The same project again: nothing is left to do.
  void expect_all_hits();

  // A folder outside of all stages, as the host's own are.
  [[nodiscard]] std::filesystem::path host() const { return folder_.path() / "host"; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }
  [[nodiscard]] std::filesystem::path cache() const { return folder_.path() / "cache"; }
  // The stages' next one, or one at a place of its own, and a build of it. Builds may run at once; laying out
  // may not.
  [[nodiscard]] std::filesystem::path lay_out(const std::string& name = {});
  [[nodiscard]] Result<Built> build_in(const std::filesystem::path& stage, bool with_cache,
                                       const std::string& log = "log") const;
  [[nodiscard]] std::string log() const { return read(folder_.path() / "log"); }

  build::BuildRequest request_;  // for all builds to come; source, build, view and cache are set by them
  std::int64_t source_time_ns_ = os::kSourceTimeNs;  // of all but CMakeLists.txt
  bool with_view_ = true;                            // all stages have one path; before SetUp()

 private:
  struct File {
    std::string text;
    bool executable = false;
    bool symlink = false;
  };

  os::TemporaryFolder folder_ = temporary_folder();
  std::map<std::string, File> files_;
  int stages_ = 0;
};

// The files below a build folder that its edges made, by their path; not CMake's and Ninja's own.
[[nodiscard]] std::map<std::string, std::string> products_of(const std::filesystem::path& build);

}  // namespace sb::tests
