#include "os/home.h"

#include <fmt/format.h>

#include "os/file_system.h"
#include "os/process.h"

namespace sb::os {
namespace {

Status make_private(const fs::path& folder) {
  SB_CHECK(make_folders(folder));
  std::error_code code;
  fs::permissions(folder, fs::perms::owner_all, code);
  if (code) return fail(errno_error(fmt::format("cannot make {} private", folder.string()), code.value()));
  return {};
}

// $variable/selfbuild, or ~/fallback/selfbuild.
Result<fs::path> xdg_folder(const char* variable, std::string_view fallback) {
  const std::string set = environment_variable(variable);
  if (set.starts_with('/'))
    return fs::path(set) / "selfbuild";  // the specification says: ignore relative paths
  const std::string home = environment_variable("HOME");
  if (home.empty()) {
    return fail(ErrorKind::environment, "neither SELFBUILD_HOME nor HOME is set",
                "export SELFBUILD_HOME=/path");
  }
  return fs::path(home) / fallback / "selfbuild";
}

}  // namespace

Result<Home> Home::from_environment() {
  const std::string root = environment_variable("SELFBUILD_HOME");
  if (!root.empty()) return at(fs::absolute(root));
  SB_TRY(fs::path state, xdg_folder("XDG_STATE_HOME", ".local/state"));
  SB_TRY(fs::path cache, xdg_folder("XDG_CACHE_HOME", ".cache"));
  SB_CHECK(make_private(state));
  SB_CHECK(make_private(cache));
  return Home(std::move(state), std::move(cache));
}

Result<Home> Home::at(const fs::path& root) {
  SB_CHECK(make_private(root / "state"));
  SB_CHECK(make_private(root / "cache"));
  return Home(root / "state", root / "cache");
}

fs::path Home::version(std::string_view project_name, int number) const {
  return project(project_name) / "versions" / fmt::format("v{}", number);
}
fs::path Home::pointer(std::string_view project_name) const {
  return project(project_name) / "current";
}
fs::path Home::cycle(std::int64_t id) const {
  return state_ / "cycles" / fmt::format("c-{}", id);
}
fs::path Home::stages(std::string_view project_name) const {
  return cache_ / "stages" / project_name;
}

}  // namespace sb::os
