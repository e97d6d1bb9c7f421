#include "support/installation.h"

#include <gtest/gtest.h>

#include "support/files.h"
#include "support/held_syncs.h"

namespace sb::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCMake = R"(cmake_minimum_required(VERSION 3.25)
project(tiny NONE)
add_custom_command(OUTPUT bin/tiny COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/tiny.sh bin/tiny
  DEPENDS ${CMAKE_SOURCE_DIR}/tiny.sh)
add_custom_target(program ALL DEPENDS bin/tiny)
enable_testing()
add_test(NAME script_parses COMMAND sh -n ${CMAKE_SOURCE_DIR}/tiny.sh)
)";

constexpr std::string_view kScript = R"(#!/bin/sh
# tiny, edition 1
exec sleep 1000000
)";

std::string manifest(const std::string& swap) {
  return R"(apiVersion: selfbuild/v1
kind: Project
metadata: {name: tiny}
spec:
  build:
    outputs: [bin/tiny]
---
apiVersion: selfbuild/v1
kind: Service
metadata: {name: tiny}
spec:
  command: [bin/tiny]
  swap: )" +
         swap + R"(
  start_timeout: 10s
  drain_timeout: 2s
  probation: 300ms
)";
}

void replace(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = read(file);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << file << " does not contain " << from;
  write(file, text.replace(at, from.size(), to));
}

}  // namespace

Installation::Installation()
    : folder_(temporary_folder()), home_(os::Home::at(folder_.path() / "home").value()) {
  environment = {{"SELFBUILD_HOME", (folder_.path() / "home").string()},
                 {"SELFBUILD_CONDUCTOR", CONDUCTOR_PROGRAM},
                 {"TMPDIR", "/tmp"},
                 {"GIT_CONFIG_GLOBAL", "/dev/null"},
                 {"GIT_CONFIG_NOSYSTEM", "1"},
                 {"GIT_AUTHOR_NAME", "test"},
                 {"GIT_AUTHOR_EMAIL", "test@localhost"},
                 {"GIT_COMMITTER_NAME", "test"},
                 {"GIT_COMMITTER_EMAIL", "test@localhost"}};
}

void Installation::slow_the_disk_by(const std::filesystem::path& file) {
  const std::filesystem::path program = folder_.path() / "conductor";
  write(program, "#!/bin/sh\nexport LD_PRELOAD=" SLOW_DISK " " + std::string(kHeldSyncs) + "=" +
                     file.string() + "\nexec " CONDUCTOR_PROGRAM " \"$@\"\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  environment["SELFBUILD_CONDUCTOR"] = program.string();
}

Installation::~Installation() {
  const Finished stopped =
      run_program({SELFBUILD_PROGRAM, "conductor", "stop", "--services"}, folder_.path(), environment);
  EXPECT_EQ(stopped.code, 0) << "processes of this test run on: " << stopped.all() << "\nconductor.log:\n"
                             << os::read_file(home_.state() / "conductor.log").value_or("");
}

Finished Installation::selfbuild(const std::vector<std::string>& arguments) const {
  return selfbuild_from(repository(), arguments);
}

Finished Installation::selfbuild_from(const fs::path& folder,
                                      const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{SELFBUILD_PROGRAM};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv, folder, environment);
}

Finished Installation::selfbuild_without_namespaces(const std::vector<std::string>& arguments) const {
  // The limit is of the user namespace that the shell is root of.
  constexpr const char* kAlone =
      "unshare --user --map-root-user true || exit 125\n"
      "exec unshare --user --map-root-user sh -c '"
      "echo 0 > /proc/sys/user/max_mnt_namespaces || exit 125; exec \"$@\"' sh \"$@\"";
  std::vector<std::string> argv{"/bin/sh", "-c", kAlone, "sh", SELFBUILD_PROGRAM};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv, repository(), environment);
}

Background Installation::selfbuild_in_background(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{SELFBUILD_PROGRAM};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return {argv, repository(), environment};
}

Finished Installation::git(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{"git"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Finished finished = run_program(argv, repository(), environment);
  EXPECT_EQ(finished.code, 0) << "git " << arguments.front() << ": " << finished.all();
  return finished;
}

void Installation::make_tiny_project(const std::string& swap) {
  write(repository() / "CMakeLists.txt", kCMake);
  write(repository() / "tiny.sh", kScript);
  fs::permissions(repository() / "tiny.sh", fs::perms(0755));
  write(repository() / "selfbuild.yaml", manifest(swap));
  (void)git({"init", "--quiet", "--initial-branch", "main"});
  commit("tiny: first");
}

void Installation::copy_project(const std::string& fixture) {
  fs::copy(fs::path(FIXTURES_FOLDER) / fixture, repository(), fs::copy_options::recursive);
  (void)git({"init", "--quiet", "--initial-branch", "main"});
  commit(fixture + ": first");
}

void Installation::edit(const std::string& file, const std::string& from, const std::string& to) const {
  replace(repository() / file, from, to);
}

void Installation::commit(const std::string& message) const {
  (void)git({"add", "--all"});
  (void)git({"commit", "--quiet", "--message", message});
}

fs::path Installation::patch(const std::string& file, const std::string& from, const std::string& to) const {
  edit(file, from, to);
  static int number = 0;
  const fs::path path = scratch() / ("patch-" + std::to_string(++number) + ".patch");
  write(path, git({"diff"}).out);
  (void)git({"checkout", "--quiet", "--", file});
  return path;
}

std::string Installation::live(const std::string& project) const {
  std::error_code code;
  const fs::path target = fs::read_symlink(home_.pointer(project), code);
  return code ? "none" : target.filename().string();
}

}  // namespace sb::tests
