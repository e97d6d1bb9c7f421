#include "artifacts/output_pool.h"

#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifacts/byte_stream.h"
#include "base/unique_fd.h"
#include "os/file_system.h"

namespace sb::artifacts {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSharedMode = 0444;

// A whole file in memory for as long as this lives.
class Mapping {
 public:
  explicit Mapping(int fd, std::size_t size) : size_(size) {
    if (size > 0) bytes_ = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (ok() && size_ > 0) ::munmap(bytes_, size_);
  }
  [[nodiscard]] bool ok() const { return bytes_ != MAP_FAILED; }
  [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(bytes_), size_}; }

 private:
  void* bytes_ = nullptr;
  std::size_t size_;
};

timespec from_ns(std::int64_t ns) {
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

// A clone of the extents where the file system has them (btrfs, XFS, bcachefs), else the kernel's own copy.
Status copy_bytes(int from, int to, std::uint64_t size) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  std::uint64_t copied = 0;
  while (copied < size) {
    const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, size - copied, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    copied += static_cast<std::uint64_t>(n);
  }
  if (copied == size) return {};
  if (copied > 0) return fail(errno_error("cannot copy"));
  // Across file systems of old kernels, or on one that cannot: by hand.
  SB_TRY(const DigestStream::Digests digests, stream(from, to));
  if (digests.size != size) return fail(ErrorKind::environment, "the file changed while it was copied");
  return {};
}

// `make` answers -1 when it failed. The folder of the file, and what an earlier process with our pid left
// under its name, are seen to only then: usually the one is there, and the other is not.
template <typename Make>
int made(const fs::path& file, Make make) {
  int result = make();
  if (result < 0 && errno == ENOENT && os::make_folders(file.parent_path())) result = make();
  if (result < 0 && errno == EEXIST && ::unlink(file.c_str()) == 0) result = make();
  return result;
}

UniqueFd create(const fs::path& file) {
  return UniqueFd(
      made(file, [&] { return ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kSharedMode); }));
}

Error not_this(const PooledId& id, const PooledId& found) {
  Error error =
      make_error(ErrorKind::corrupt, fmt::format("the cached output {} is damaged", id.digest.hex()));
  error.expected = fmt::format("{} of {} bytes", id.digest.hex(), id.size);
  error.found = fmt::format("{} of {} bytes", found.digest.hex(), found.size);
  return error;
}

}  // namespace

Result<PooledId> digest_of_file(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail(errno_error("cannot look at a file"));
  const Mapping mapping(fd, static_cast<std::size_t>(info.st_size));
  if (!mapping.ok()) return fail(errno_error("cannot read a file"));
  return PooledId{.digest = key_of(mapping.bytes()), .size = static_cast<std::uint64_t>(info.st_size)};
}

fs::path OutputPool::path_of(const PooledId& id) const {
  const std::string hex = id.digest.hex();
  // Few folders: to make one costs as much as to make several files, and a first fill makes them all.
  return root_ / hex.substr(0, 1) / fmt::format("{}-{}", hex.substr(1), id.size);
}

// Beside the object: renaming within a folder locks that one, between two of them the file system.
fs::path OutputPool::temporary(const fs::path& object) {
  static std::atomic<unsigned> counter{0};  // of the process: it may have opened the pool twice
  return object.parent_path() / fmt::format("incoming.{}.{}", ::getpid(), counter++);
}

Result<PooledId> OutputPool::put(const fs::path& file, Sharing sharing) const {
  SB_TRY(const UniqueFd source, open_regular(file));
  SB_TRY(const PooledId id, digest_of_file(source.get()));
  if (verify(id)) return id;
  const fs::path object = path_of(id);
  const fs::path incoming = temporary(object);
  bool linked = false;
  if (sharing == Sharing::link) {
    // By the descriptor, so that what was hashed is what is linked.
    const std::string hashed = fmt::format("/proc/self/fd/{}", source.get());
    const auto link = [&] {
      return ::linkat(AT_FDCWD, hashed.c_str(), AT_FDCWD, incoming.c_str(), AT_SYMLINK_FOLLOW);
    };
    linked = made(incoming, link) == 0 && ::fchmod(source.get(), kSharedMode) == 0;
  }
  if (!linked) {
    const UniqueFd copy = create(incoming);
    if (!copy) return fail(errno_error(fmt::format("cannot create {}", incoming.string())));
    if (Status copied = copy_bytes(source.get(), copy.get(), id.size); !copied) {
      ::unlink(incoming.c_str());
      return fail(std::move(copied.error()).doing(fmt::format("keeping {}", file.string())));
    }
  }
  if (::rename(incoming.c_str(), object.c_str()) != 0) {
    Error error = errno_error(fmt::format("cannot keep {}", object.string()));
    ::unlink(incoming.c_str());
    return fail(std::move(error));
  }
  ::unlink(incoming.c_str());  // renaming a file to another name of itself does nothing
  return id;
}

Status OutputPool::put_bytes(const PooledId& id, std::string_view bytes) const {
  const PooledId found{.digest = key_of(bytes), .size = bytes.size()};
  if (found != id) return fail(not_this(id, found));
  if (find(id)) return {};
  const fs::path object = path_of(id);
  const fs::path incoming = temporary(object);
  Status written = [&]() -> Status {
    const UniqueFd file = create(incoming);
    if (!file) return fail(errno_error(fmt::format("cannot create {}", incoming.string())));
    SB_CHECK(write_all(file.get(), bytes));
    if (::rename(incoming.c_str(), object.c_str()) == 0) return {};
    return fail(errno_error(fmt::format("cannot keep {}", object.string())));
  }();
  if (!written) ::unlink(incoming.c_str());
  return written;
}

Status OutputPool::place(const PooledId& id, const fs::path& to, Sharing sharing, unsigned mode,
                         std::int64_t mtime_ns) const {
  const fs::path object = path_of(id);
  SB_TRY(const UniqueFd source, open_regular(object));
  SB_TRY(const PooledId found, digest_of_file(source.get()));
  if (found != id) {
    (void)::rename(object.c_str(), (object.string() + ".damaged").c_str());
    return fail(not_this(id, found));
  }
  if (sharing == Sharing::link) {
    if (::linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", source.get()).c_str(), AT_FDCWD, to.c_str(),
                 AT_SYMLINK_FOLLOW) == 0)
      return {};
    if (errno == EEXIST) return fail(ErrorKind::conflict, fmt::format("{} is there already", to.string()));
  }
  const UniqueFd copy(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!copy) return fail(errno_error(fmt::format("cannot create {}", to.string())));
  SB_CHECK(copy_bytes(source.get(), copy.get(), id.size));
  const timespec times[] = {from_ns(mtime_ns), from_ns(mtime_ns)};
  if (::fchmod(copy.get(), mode) != 0 || ::futimens(copy.get(), times) != 0)
    return fail(errno_error(fmt::format("cannot set mode and time of {}", to.string())));
  return {};
}

std::optional<struct stat> OutputPool::find(const PooledId& id) const {
  struct stat info{};
  if (::lstat(path_of(id).c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
      static_cast<std::uint64_t>(info.st_size) != id.size)
    return std::nullopt;
  return info;
}

bool OutputPool::verify(const PooledId& id) const {
  const fs::path object = path_of(id);
  const Result<UniqueFd> source = open_regular(object);
  if (!source) return false;
  const Result<PooledId> found = digest_of_file(source->get());
  if (found && *found == id) return true;
  (void)::rename(object.c_str(), (object.string() + ".damaged").c_str());
  return false;
}

Status OutputPool::remove(const PooledId& id) const {
  if (::unlink(path_of(id).c_str()) != 0 && errno != ENOENT)
    return fail(errno_error(fmt::format("cannot remove {}", path_of(id).string())));
  return {};
}

}  // namespace sb::artifacts
