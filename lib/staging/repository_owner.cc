#include "staging/repository_owner.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/process.h"
#include "staging/git_handles.h"

namespace sb::staging {
namespace fs = std::filesystem;
namespace {

bool is_true(const std::string& word) {
  return !word.empty() && word != "0" && word != "false" && word != "no";
}

std::vector<fs::path> trusted_files() {
  std::vector<fs::path> files;
  if (!is_true(os::environment_variable("GIT_CONFIG_NOSYSTEM"))) {
    const std::string system = os::environment_variable("GIT_CONFIG_SYSTEM");
    files.emplace_back(system.empty() ? "/etc/gitconfig" : system);
  }
  if (const std::string global = os::environment_variable("GIT_CONFIG_GLOBAL"); !global.empty()) {
    files.emplace_back(global);
    return files;
  }
  const fs::path home = os::environment_variable("HOME");
  const fs::path xdg = os::environment_variable("XDG_CONFIG_HOME");
  if (!xdg.empty()) files.push_back(xdg / "git" / "config");
  if (xdg.empty() && !home.empty()) files.push_back(home / ".config" / "git" / "config");
  if (!home.empty()) files.push_back(home / ".gitconfig");
  return files;
}

std::vector<std::string> safe_folders(const fs::path& file) {
  std::vector<std::string> folders;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return folders;
  git_config* opened = nullptr;
  if (git_config_open_ondisk(&opened, file.c_str()) != 0) return folders;
  const GitConfig config(opened);
  git_config_iterator* begun = nullptr;
  if (git_config_multivar_iterator_new(&begun, config.get(), "safe.directory", nullptr) != 0) return folders;
  const GitConfigIterator iterator(begun);
  git_config_entry* entry = nullptr;
  while (git_config_next(&entry, iterator.get()) == 0) folders.emplace_back(entry->value);
  return folders;
}

fs::path without_final_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

bool is_declared_safe(const fs::path& root) {
  start_libgit2();
  bool safe = false;
  for (const fs::path& file : trusted_files()) {
    for (const std::string& folder : safe_folders(file)) {
      // An empty value forgets what stood before it, as in git.
      if (folder.empty())
        safe = false;
      else if (folder == "*" || without_final_slash(folder) == without_final_slash(root))
        safe = true;
    }
  }
  return safe;
}

bool belongs_to_another(const fs::path& root) {
  const std::string sudo = os::environment_variable("SUDO_UID");
  const auto is_ours = [&](const fs::path& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return true;  // nothing there to distrust
    return info.st_uid == ::geteuid() || (::geteuid() == 0 && std::to_string(info.st_uid) == sudo);
  };
  return !is_ours(root) || !is_ours(root / ".git");
}

Error foreign_owner(const fs::path& root) {
  struct stat info{};
  const std::string owner =
      ::stat(root.c_str(), &info) == 0 ? fmt::format("uid {}", info.st_uid) : "another user";
  return make_error(
      ErrorKind::environment,
      fmt::format("the repository {} belongs to {} and this is uid {}; like git, selfbuild does not "
                  "trust it until safe.directory names it",
                  root.string(), owner, ::geteuid()),
      fmt::format("git config --global --add safe.directory {}", root.string()));
}

}  // namespace sb::staging
