// View: a folder that a run sees under a fixed name directly below the root, wherever it really lies. So two
// copies of a source tree get the same absolute paths into their commands, depfiles and debug information.
//
// Made by a private mount namespace: a new root with every folder of the host's root bound into it, and the
// one more. Without the privilege for that, inside a user namespace that maps only the caller's own ids; some
// hosts forbid both.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb::sandbox {

struct View {
  std::string folder;  // absolute, as the caller sees it
  std::string at;      // "/name", as the run sees it; hides what the host has there
  // Files below the folder, relative, that the run sees as empty ones, and cannot write.
  std::vector<std::string> hidden{};

  // A path in the folder as the run sees it, and the other way round; a path elsewhere is returned as it is.
  [[nodiscard]] std::filesystem::path seen(const std::filesystem::path& path) const;
  [[nodiscard]] std::filesystem::path real(const std::filesystem::path& path) const;
};

// Whether this host can do it, found by doing it once per process: "mount namespace" or "user and mount
// namespace". environment says what the kernel refused. Thread-safe.
[[nodiscard]] Result<std::string> view_mechanism();

// All that has to be known before the fork; see enter_view.
class ViewPlan {
 public:
  // environment when the host's root cannot be listed.
  [[nodiscard]] static Result<ViewPlan> make(const View& view);

  // Moves the calling process into the view. False with errno when the kernel refuses a step; the process may
  // then be half way and must end. Async-signal-safe.
  [[nodiscard]] bool enter() const;

 private:
  struct Entry {
    std::string from;  // below the old root
    std::string to;    // below the new root
    std::string link;  // the text of a symlink
    bool folder = false;
  };
  [[nodiscard]] bool take_namespaces() const;
  [[nodiscard]] static bool bind(const Entry& entry);

  std::vector<Entry> entries_;
  Entry folder_;
  std::vector<std::string> hidden_;  // below the new root
  bool privileged_ = false;
  std::string user_map_;
  std::string group_map_;
};

}  // namespace sb::sandbox
