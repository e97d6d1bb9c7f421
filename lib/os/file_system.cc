#include "os/file_system.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace sb::os {
namespace {

// A name beside path that no other writer uses: pid and counter.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  return path.parent_path() / fmt::format(".{}.{}.{}", path.filename().string(), ::getpid(), counter++);
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error("write failed"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status write_new_file(const fs::path& path, std::string_view bytes, unsigned mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return fail(errno_error(fmt::format("cannot create {}", path.string())));
  SB_CHECK(doing("writing " + path.string(), write_all(fd.get(), bytes)));
  if (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0) {
    return fail(errno_error(fmt::format("cannot sync {}", path.string())));
  }
  return {};
}

}  // namespace

Status sync_folder(const fs::path& folder) {
  const fs::path name = folder.empty() ? fs::path(".") : folder;
  const UniqueFd fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return fail(errno_error(fmt::format("cannot sync folder {}", name.string())));
  return {};
}

Status RealFileSystem::write_durably(const fs::path& path, std::string_view bytes, unsigned mode) {
  const fs::path temporary = temporary_beside(path);
  Status written = write_new_file(temporary, bytes, mode);
  if (written) written = rename_durably(temporary, path);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Status RealFileSystem::point_durably(const fs::path& link, const fs::path& target) {
  const fs::path temporary = temporary_beside(link);
  if (::symlink(target.c_str(), temporary.c_str()) != 0) {
    return fail(errno_error(fmt::format("cannot create symlink {}", temporary.string())));
  }
  Status renamed = rename_durably(temporary, link);
  if (!renamed) ::unlink(temporary.c_str());
  return renamed;
}

Status RealFileSystem::rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return fail(errno_error(fmt::format("cannot rename {} to {}", from.string(), to.string())));
  }
  return sync_names_in(to.parent_path());
}

Status RealFileSystem::sync_names_in(const fs::path& folder) {
  return sync_folder(folder);
}

Result<std::string> read_file(const fs::path& path, std::size_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    Error error = errno_error(fmt::format("cannot read {}", path.string()));
    if (errno == ENOENT) error.kind = ErrorKind::not_found;
    return fail(std::move(error));
  }
  std::string bytes;
  struct stat info{};
  if (::fstat(fd.get(), &info) == 0 && info.st_size > 0)
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  char block[64 * 1024];
  while (true) {
    const ssize_t n = ::read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(fmt::format("cannot read {}", path.string())));
    if (n == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(n));
    if (bytes.size() > max_bytes) {
      return fail(ErrorKind::refused, fmt::format("{} is larger than {} bytes", path.string(), max_bytes));
    }
  }
}

Status make_folders(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return {};  // the usual case: only the last one is missing
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return fail(errno_error(fmt::format("cannot create folder {}", path.string()), code.value()));
  return {};
}

Status remove_tree(const fs::path& path) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code == std::errc::permission_denied) {
    // A read-only folder inside: give ourselves back the write bit, then try once more.
    std::error_code ignored;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, ignored);
    for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, ignored),
         end;
         it != end; it.increment(ignored)) {
      if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
        fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
      }
    }
    fs::remove_all(path, code);
  }
  if (code) return fail(errno_error(fmt::format("cannot remove {}", path.string()), code.value()));
  return {};
}

Status replace_file(const fs::path& path, std::string_view bytes) {
  // The pid keeps two writers apart; what a killed one left behind is not ours to mend.
  const fs::path temporary = fmt::format("{}.{}", path.string(), ::getpid());
  ::unlink(temporary.c_str());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail(errno_error(fmt::format("cannot create {}", temporary.string())));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = errno_error(fmt::format("cannot write {}", temporary.string()));
      ::unlink(temporary.c_str());
      return fail(std::move(error));
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = errno_error(fmt::format("cannot replace {}", path.string()));
    ::unlink(temporary.c_str());
    return fail(std::move(error));
  }
  return {};
}

Result<fs::path> read_link(const fs::path& link) {
  std::error_code code;
  fs::path target = fs::read_symlink(link, code);
  if (code) {
    Error error = errno_error(fmt::format("cannot read symlink {}", link.string()), code.value());
    if (code == std::errc::no_such_file_or_directory) error.kind = ErrorKind::not_found;
    return fail(std::move(error));
  }
  return target;
}

Result<TemporaryFolder> TemporaryFolder::make(std::string_view prefix) {
  std::error_code code;
  std::string name = (fs::temp_directory_path(code) / fmt::format("{}.XXXXXX", prefix)).string();
  if (::mkdtemp(name.data()) == nullptr) return fail(errno_error(fmt::format("cannot create {}", name)));
  return TemporaryFolder(fs::path(name));
}

TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TemporaryFolder::~TemporaryFolder() {
  // A temporary folder that cannot be removed is left for the system's cleaner: nobody can act on it here.
  if (!path_.empty()) (void)remove_tree(path_);
}

}  // namespace sb::os
