#include "unit/staging/git_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/process.h"
#include "support/files.h"

// libgit2 1.5.1 forgets 20 KB whenever a configuration's line or a message does not match a pattern. Only the
// leak sanitizer asks for this.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the sanitizer chose the name
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpcre2-8.so\n";
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)

namespace sb::staging::tests {
namespace fs = std::filesystem;

Ran run(const std::vector<std::string>& argv) {
  const os::TemporaryFolder folder = sb::tests::temporary_folder();
  const fs::path log = folder.path() / "output";
  const UniqueFd output(::open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  os::SpawnSpec spec;
  spec.argv = argv;
  spec.environment = {"PATH=" + os::environment_variable("PATH"),
                      "HOME=" + folder.path().string(),
                      "GIT_CONFIG_GLOBAL=/dev/null",
                      "GIT_CONFIG_NOSYSTEM=1",
                      "GIT_AUTHOR_NAME=Ada Author",
                      "GIT_AUTHOR_EMAIL=ada@example.org",
                      "GIT_AUTHOR_DATE=1700000000 +0100",
                      "GIT_COMMITTER_NAME=Carl Committer",
                      "GIT_COMMITTER_EMAIL=carl@example.org",
                      "GIT_COMMITTER_DATE=1700000000 +0100",
                      "LC_ALL=C"};
  spec.output = output.get();
  auto process = os::spawn(spec);
  if (!process) return {.exit_code = -1, .output = format_error(process.error())};
  pollfd ended{.fd = process->pidfd.get(), .events = POLLIN, .revents = 0};
  while (::poll(&ended, 1, -1) < 0) {
  }
  const auto exit = os::reap(*process);
  return {.exit_code = exit && exit->signal == 0 ? exit->code : -1, .output = sb::tests::read(log)};
}

GitFixture::GitFixture() : folder_(sb::tests::temporary_folder()) {
  fs::create_directories(repo());
  git({"init", "--quiet", "--initial-branch=main"});
}

std::string GitFixture::git(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{"git", "-C", repo().string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Ran ran = run(argv);
  EXPECT_EQ(ran.exit_code, 0) << fmt::format("git {}\n{}", fmt::join(arguments, " "), ran.output);
  if (ran.output.ends_with('\n')) ran.output.pop_back();
  return ran.output;
}

void GitFixture::write(const std::string& path, std::string_view text) const {
  sb::tests::write(repo() / path, text);
}

std::string GitFixture::commit(const std::string& message) const {
  git({"add", "--all"});
  git({"commit", "--quiet", "--allow-empty", "--message", message});
  return git({"rev-parse", "HEAD"});
}

Repository GitFixture::open() const {
  auto opened = Repository::open(repo());
  if (!opened) {
    ADD_FAILURE() << format_error(opened.error());
    std::abort();
  }
  return std::move(*opened);
}

Source GitFixture::source(const std::string& revision) const {
  auto resolved = open().resolve(revision);
  EXPECT_TRUE(resolved.has_value()) << format_error(resolved.error());
  return resolved.value_or(Source{});
}

namespace {

std::string describe(const fs::path& path, bool with_time) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return "gone";
  std::string text = fmt::format("{:o}", info.st_mode);
  if (with_time) text += fmt::format(" {}.{}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  if (S_ISLNK(info.st_mode)) return text + " -> " + fs::read_symlink(path).string();
  if (S_ISREG(info.st_mode)) return text + " " + sb::tests::read(path);
  return text;
}

}  // namespace

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> found;
  if (!fs::exists(folder)) return found;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    if (it->path().filename() == ".git") {
      it.disable_recursion_pending();
      continue;
    }
    found.emplace(it->path().lexically_relative(folder).string(), describe(it->path(), false));
  }
  return found;
}

std::map<std::string, std::string> users_things(const fs::path& repository) {
  std::map<std::string, std::string> found;
  const auto note = [&](const fs::path& path) {
    found.emplace(path.lexically_relative(repository).string(), describe(path, true));
  };
  for (const char* name : {"HEAD", "index", "config", "packed-refs"}) note(repository / ".git" / name);
  for (const char* name : {"refs/heads", "refs/tags", "hooks", "logs"}) {
    if (!fs::exists(repository / ".git" / name)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(repository / ".git" / name)) note(entry.path());
  }
  for (auto it = fs::recursive_directory_iterator(repository); it != fs::recursive_directory_iterator();
       ++it) {
    if (it->path().filename() == ".git") {
      it.disable_recursion_pending();
      continue;
    }
    note(it->path());
  }
  return found;
}

}  // namespace sb::staging::tests
