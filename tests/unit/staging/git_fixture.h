// A real git repository in a temporary folder, made with the git command, and ways to look at it and at
// folders.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "staging/repository.h"

namespace sb::staging::tests {

struct Ran {
  int exit_code = -1;
  std::string output;  // stdout and stderr together
};
// Runs a program with an environment in which git reads no configuration but the repository's. Not through a
// shell.
[[nodiscard]] Ran run(const std::vector<std::string>& argv);

class GitFixture {
 public:
  GitFixture();  // an empty repository at repo(), branch main

  [[nodiscard]] std::filesystem::path root() const { return folder_.path(); }
  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }

  // git -C repo …; the output without its last newline. A failure fails the test and prints the output.
  std::string git(const std::vector<std::string>& arguments) const;
  void write(const std::string& path, std::string_view text) const;
  // Adds everything and commits; returns the commit.
  std::string commit(const std::string& message) const;
  [[nodiscard]] Repository open() const;
  [[nodiscard]] Source source(const std::string& revision) const;

 private:
  os::TemporaryFolder folder_;
};

// Every path below a folder with its type, permission bits, and bytes or symlink text; `.git` files are left
// out.
[[nodiscard]] std::map<std::string, std::string> contents(const std::filesystem::path& folder);
// What may not change when a stage is used: HEAD, index, config, branches, and the work tree with its times.
[[nodiscard]] std::map<std::string, std::string> users_things(const std::filesystem::path& repository);

}  // namespace sb::staging::tests
