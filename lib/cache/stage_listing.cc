#include "cache/stage_listing.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace sb::cache {
namespace {

// Sums do not depend on the order in which a folder lists its names.
void mix(Key& sum, const Key& key) {
  sum.high += key.high;
  sum.low += key.low;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

}  // namespace

Result<StageListing> StageListing::make(const Places& places) {
  StageListing listing;
  listing.normal_ = NormalForm(places);
  std::vector<std::string> pending = {places.source};
  if (!is_below(places.build, places.source)) pending.push_back(places.build);
  while (!pending.empty()) {
    const std::string seen = std::move(pending.back());
    pending.pop_back();
    const std::unique_ptr<DIR, CloseFolder> folder(::opendir(places.real(seen).c_str()));
    if (!folder) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) continue;
      return fail(errno_error("cannot list " + seen));
    }
    while (const dirent* entry =
               ::readdir(folder.get())) {  // NOLINT(concurrency-mt-unsafe): a DIR of our own
      const std::string_view name = entry->d_name;
      if (name == "." || name == ".." || (name == ".git" && seen == places.source)) continue;
      // CMake's answers have the time of the configure in their names; nothing is included from there.
      if (name == ".cmake" && seen == places.build) continue;
      std::string path = seen + "/" + std::string(name);
      unsigned char type = entry->d_type;
      if (type == DT_UNKNOWN) {
        struct stat info{};
        if (::lstat(places.real(path).c_str(), &info) == 0 && S_ISDIR(info.st_mode)) type = DT_DIR;
      }
      if (type == DT_LNK && is_below(path, places.source)) {
        std::error_code ignored;
        const std::string target = std::filesystem::read_symlink(places.real(path), ignored).string();
        KeyBuilder link;
        listing.normal_.add(link, path);
        mix(listing.links_, listing.normal_.add(link, target).finish());
        struct stat info{};
        const bool leads_to_file = ::stat(places.real(path).c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
        listing.links_folders_ = listing.links_folders_ || !leads_to_file;
      }
      if (type == DT_DIR) {
        pending.push_back(std::move(path));
      } else {
        listing.add(path);
      }
    }
  }
  return listing;
}

void StageListing::add(std::string_view seen) {
  const NameTable::Number path =
      paths_.intern(seen, [&](std::string_view text) { return texts_.keep(text); });
  if (path < before_.size()) return;
  const std::string_view kept = paths_.name(path);
  const NameTable::Number name =
      names_.intern(kept.substr(kept.rfind('/') + 1), [](std::string_view part) { return part; });
  if (name == named_.size()) named_.emplace_back();
  before_.push_back(std::exchange(named_[name].last, path));
  ++named_[name].count;
  mix(whole_, key_of(normal_.is_needed() ? normal_.of(seen) : seen));
}

std::vector<std::string_view> StageListing::of_name(std::string_view name) const {
  std::vector<std::string_view> paths;
  const std::optional<NameTable::Number> known = names_.find(name);
  if (!known) return paths;
  paths.reserve(named_[*known].count);
  for (NameTable::Number path = named_[*known].last; path != kNone; path = before_[path])
    paths.push_back(paths_.name(path));
  return paths;
}

std::size_t StageListing::count_of_name(std::string_view name) const {
  const std::optional<NameTable::Number> known = names_.find(name);
  return known ? named_[*known].count : 0;
}

bool StageListing::had(std::string_view seen) const {
  return paths_.find(seen).has_value();
}

std::vector<std::string> source_paths(const Places& places) {
  namespace fs = std::filesystem;
  const fs::path source = places.real(places.source);
  std::vector<std::string> paths;
  std::error_code code;
  const std::size_t prefix = source.native().size() + 1;
  for (fs::recursive_directory_iterator it(source, fs::directory_options::skip_permission_denied, code), end;
       !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (it.depth() == 0 && it->path().filename() == ".git") {
      it.disable_recursion_pending();
      continue;
    }
    const bool folder = it->is_directory(ignored) && !it->is_symlink(ignored);
    paths.push_back(it->path().native().substr(prefix) + (folder ? "/" : ""));
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<std::string> files_below(const Places& places, const std::string& folder, std::size_t most) {
  namespace fs = std::filesystem;
  const fs::path real = places.real(folder);
  std::vector<std::string> files;
  std::error_code code;
  for (fs::recursive_directory_iterator it(real, code), end; !code && it != end && files.size() <= most;
       it.increment(code)) {
    std::error_code ignored;
    if (it->path().filename() == ".git" && it.depth() == 0) {
      it.disable_recursion_pending();
    } else if (!it->is_directory(ignored)) {
      files.push_back(folder + it->path().native().substr(real.native().size()));
    }
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace sb::cache
