// Home: where selfbuild keeps what. State must survive; cache may be deleted at any time while nothing runs.
//
//   state/selfbuild.db                   history, journal, tasks, services (SQLite, WAL)
//   state/selfbuild.db.backup            as of the last minute; takes its place when it is damaged
//   state/objects/                       the content-addressed store
//   state/projects/P/versions/vN/        a version's files, laid out to run
//   state/projects/P/current             the pointer: a symlink to versions/vN
//   state/cycles/c-N/{log,progress.jsonl}
//   state/services/S/log                 what the service printed
//   state/services/S/safe-mode.code      for the buttons of its page in safe mode, while that lasts
//   state/conductor.sock  conductor.lock  keeper.lock  conductor.log
//   state/conductor/{current,previous}   which conductor runs, when it was upgraded; see lib/keeper
//   state/audit.db                       who changed what, and what happened last
//   state/http.sock  http.token          where the conductor answers HTTP, and the token for changes
//   state/gc.lock  nightly.lock  nightly.log  nightly.due
//   cache/stages/P/slot-N/{tree,build}
//   cache/build/                         what was ever built, by what went into it
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::os {

class Home {
 public:
  // $SELFBUILD_HOME/{state,cache}; without it $XDG_STATE_HOME/selfbuild and $XDG_CACHE_HOME/selfbuild, whose
  // defaults are ~/.local/state and ~/.cache. Makes the folders, mode 0700.
  [[nodiscard]] static Result<Home> from_environment();
  [[nodiscard]] static Result<Home> at(const std::filesystem::path& root);

  [[nodiscard]] const std::filesystem::path& state() const { return state_; }
  [[nodiscard]] const std::filesystem::path& cache() const { return cache_; }

  [[nodiscard]] std::filesystem::path database() const { return state_ / "selfbuild.db"; }
  [[nodiscard]] std::filesystem::path objects() const { return state_ / "objects"; }
  [[nodiscard]] std::filesystem::path project(std::string_view name) const {
    return state_ / "projects" / name;
  }
  [[nodiscard]] std::filesystem::path version(std::string_view project_name, int number) const;
  [[nodiscard]] std::filesystem::path pointer(std::string_view project_name) const;
  [[nodiscard]] std::filesystem::path cycle(std::int64_t id) const;
  [[nodiscard]] std::filesystem::path service(std::string_view name) const {
    return state_ / "services" / name;
  }
  [[nodiscard]] std::filesystem::path stages(std::string_view project_name) const;
  [[nodiscard]] std::filesystem::path build_cache() const { return cache_ / "build"; }
  [[nodiscard]] std::filesystem::path conductors() const { return state_ / "conductor"; }
  [[nodiscard]] std::filesystem::path audit_database() const { return state_ / "audit.db"; }
  [[nodiscard]] std::filesystem::path http_socket() const { return state_ / "http.sock"; }
  [[nodiscard]] std::filesystem::path conductor_socket() const { return state_ / "conductor.sock"; }

 private:
  Home(std::filesystem::path state, std::filesystem::path cache)
      : state_(std::move(state)), cache_(std::move(cache)) {}
  std::filesystem::path state_;
  std::filesystem::path cache_;
};

}  // namespace sb::os
