#include "staging/folder_removal.h"

#include <cerrno>
#include <memory>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "staging/path_names.h"

namespace sb::staging {
namespace {

constexpr int kMaxDepth = 32;

std::unexpected<Error> cannot_remove(const std::string& name) {
  return fail(errno_error(fmt::format("cannot remove {} from the stage", printable(name))));
}

// Opens for listing. A read-only or unreadable folder is ours to change: owner bits are given back first.
UniqueFd open_to_empty(int folder, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd opened(::openat(folder, name.c_str(), kFlags));
  if (!opened && errno == EACCES) {
    give_back_permissions(folder, name);
    opened = UniqueFd(::openat(folder, name.c_str(), kFlags));
  }
  if (opened) ::fchmod(opened.get(), 0700);
  return opened;
}

class Removal {
 public:
  explicit Removal(int root) : root_(root) {}

  Status run(int folder, const std::string& name) {
    SB_CHECK(remove(folder, name, 0));
    // What was too deep lies at the top now; each round takes 32 levels off.
    while (!moved_.empty()) {
      const std::string next = moved_.back();
      moved_.pop_back();
      SB_CHECK(remove(root_, next, 0));
    }
    return {};
  }

 private:
  Status remove(int folder, const std::string& name, int depth) {
    if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return cannot_remove(name);
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) return {};
    if (depth == kMaxDepth) {
      const std::string aside = fmt::format(".selfbuild-deep-{}-{}", ::getpid(), counter_++);
      if (::renameat(folder, name.c_str(), root_, aside.c_str()) != 0) return cannot_remove(name);
      moved_.push_back(aside);
      return {};
    }
    const UniqueFd inside = open_to_empty(folder, name);
    if (!inside) return cannot_remove(name);
    SB_TRY(const std::vector<std::string> names, names_in(inside.get()));
    for (const std::string& below : names) SB_CHECK(remove(inside.get(), below, depth + 1));
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0) return cannot_remove(name);
    return {};
  }

  int root_;
  unsigned counter_ = 0;
  std::vector<std::string> moved_;
};

}  // namespace

void give_back_permissions(int folder, const std::string& name) {
  // fchmodat follows symlinks, so only what O_NOFOLLOW has shown to be a folder is changed, through /proc.
  const UniqueFd place(::openat(folder, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!place || ::fstat(place.get(), &info) != 0 || (info.st_mode & S_IRWXU) == S_IRWXU) return;
  ::chmod(fmt::format("/proc/self/fd/{}", place.get()).c_str(), 0755);
}

Status remove_below(int root, int folder, const std::string& name) {
  return Removal(root).run(folder, name);
}

Result<std::vector<std::string>> names_in(int folder) {
  UniqueFd own(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* opened = own ? ::fdopendir(own.get()) : nullptr;
  if (opened == nullptr) return fail(errno_error("cannot list a folder of the stage"));
  (void)own.release();  // closedir closes it
  const std::unique_ptr<DIR, int (*)(DIR*)> closing(opened, ::closedir);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(opened)) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return fail(errno_error("cannot list a folder of the stage"));
  return names;
}

}  // namespace sb::staging
