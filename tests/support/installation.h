// A selfbuild of its own for one test: real binaries, a throw-away home, and repositories in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "os/home.h"
#include "support/program.h"

namespace sb::tests {

class Installation {
 public:
  Installation();
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;
  ~Installation();  // stops the conductor and all services

  // Given to every program started from here on.
  Environment environment;

  [[nodiscard]] Finished selfbuild(const std::vector<std::string>& arguments) const;
  // The same from a folder outside of the repository.
  [[nodiscard]] Finished selfbuild_from(const std::filesystem::path& folder,
                                        const std::vector<std::string>& arguments) const;
  // On a host that gives nobody a mount namespace; exit code 125 where we cannot make it one.
  [[nodiscard]] Finished selfbuild_without_namespaces(const std::vector<std::string>& arguments) const;
  [[nodiscard]] Background selfbuild_in_background(const std::vector<std::string>& arguments) const;
  [[nodiscard]] Finished git(const std::vector<std::string>& arguments) const;

  // The repository that selfbuild and git are run in.
  [[nodiscard]] std::filesystem::path repository() const { return folder_.path() / "repository"; }
  [[nodiscard]] const os::Home& home() const { return home_; }
  [[nodiscard]] std::filesystem::path scratch() const { return folder_.path(); }

  // The conductor that is started from here on waits for the disk as long as there is a HeldSyncs of this
  // path.
  void slow_the_disk_by(const std::filesystem::path& file);

  // Makes the repository: a project `tiny` that builds in milliseconds: its service is a script that CMake
  // copies, and that sleeps until it is told to stop. `swap`: overlap or drain-first.
  void make_tiny_project(const std::string& swap = "overlap");
  // Makes the repository from a folder of tests/fixtures.
  void copy_project(const std::string& fixture);
  void edit(const std::string& file, const std::string& from, const std::string& to) const;
  void commit(const std::string& message) const;
  // The diff of an edit that is then undone.
  [[nodiscard]] std::filesystem::path patch(const std::string& file, const std::string& from,
                                            const std::string& to) const;

  // "v2", or "none".
  [[nodiscard]] std::string live(const std::string& project) const;

 private:
  os::TemporaryFolder folder_;
  os::Home home_;
};

}  // namespace sb::tests
