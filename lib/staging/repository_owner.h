// May we trust a repository that belongs to somebody else? The answer is git's: only when the safe.directory
// of the user's or the system's configuration names it. Used when a repository is opened.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace sb::staging {

// Reads safe.directory where git would: $GIT_CONFIG_GLOBAL, or ~/.gitconfig and $XDG_CONFIG_HOME/git/config,
// and $GIT_CONFIG_SYSTEM or /etc/gitconfig unless GIT_CONFIG_NOSYSTEM is set. Never the repository's own
// file.
[[nodiscard]] bool is_declared_safe(const std::filesystem::path& root);

// True when the work tree or its .git is neither this process's user's nor, under sudo, that of who called
// it.
[[nodiscard]] bool belongs_to_another(const std::filesystem::path& root);

// The error for a repository that is not: names both users and the command that declares it safe.
[[nodiscard]] Error foreign_owner(const std::filesystem::path& root);

}  // namespace sb::staging
