#include "cache/places.h"

#include <filesystem>

#include <fmt/format.h>

#include "ninja/manifest.h"

namespace sb::cache {

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) &&
         (path[folder.size()] == '/' || folder.ends_with('/'));
}

std::string Places::absolute(std::string_view path, std::string_view directory) {
  if (path.starts_with('/')) return ninja::canonical_path(path);
  return ninja::canonical_path(fmt::format("{}/{}", directory, path));
}

std::string Places::of_node(std::string_view path) const {
  if (path.starts_with('/')) return std::string(path);
  if (path.starts_with('.')) return absolute(path);
  std::string whole;
  whole.reserve(build.size() + 1 + path.size());
  return whole.append(build).append("/").append(path);
}

std::string Places::real(std::string_view seen) const {
  if (!view || !(seen == view->at || is_below(seen, view->at))) return std::string(seen);
  return fmt::format("{}{}", view->folder, seen.substr(view->at.size()));
}

std::string Places::shown(const std::string& seen) const {
  for (const std::string* folder : {&build, &source}) {
    if (is_below(seen, *folder)) return seen.substr(folder->size() + 1);
  }
  return seen;
}

bool Places::in_stage(std::string_view seen) const {
  return is_below(seen, source) || is_below(seen, build);
}

bool Places::stays_in_stage(const std::string& seen_folder) const {
  std::error_code code;
  const std::string folder = std::filesystem::weakly_canonical(real(seen_folder), code).string();
  if (code) return false;
  for (const std::string& root : {source, build}) {
    const std::string real_root = std::filesystem::canonical(real(root), code).string();
    if (!code && (folder == real_root || is_below(folder, real_root))) return true;
  }
  return false;
}

}  // namespace sb::cache
