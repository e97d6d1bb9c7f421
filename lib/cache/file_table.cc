#include "cache/file_table.h"

#include <cerrno>
#include <ctime>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kRacy = 2 * kSecond;
constexpr std::int64_t kLargestInput = std::int64_t{4} << 30;
constexpr std::int64_t kLargestText = 16 << 20;
constexpr std::size_t kBlock = 256 << 10;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * kSecond + time.tv_nsec;
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

FileState state_of(const struct stat& info) {
  return {.device = static_cast<std::int64_t>(info.st_dev),
          .inode = static_cast<std::int64_t>(info.st_ino),
          .size = info.st_size,
          .mtime_ns = nanoseconds(info.st_mtim),
          .ctime_ns = nanoseconds(info.st_ctim)};
}

// Not programs, archives and precompiled headers (GCC's, Clang's), which name every macro there is: what they
// were made from was read when they were made.
bool is_text(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > kLargestText) return false;
  for (const std::string_view magic : {"\x7f"
                                       "ELF",
                                       "!<arch>", "gpch", "CPCH"}) {
    if (bytes.starts_with(magic)) return false;
  }
  return true;
}

Result<std::size_t> read_some(int fd, char* to, std::size_t size) {
  while (true) {
    const ssize_t n = ::read(fd, to, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error("cannot read"));
    return static_cast<std::size_t>(n);
  }
}

// The file's digest, and its bytes when they may be a text: a compiler's 30 MB are not kept.
Result<Key> digest_of(int fd, std::size_t expected, std::string& text) {
  std::string bytes(std::min(expected + 1, kBlock), '\0');
  std::size_t size = 0;  // of what is kept
  KeyBuilder key;
  SB_TRY(std::size_t n, read_some(fd, bytes.data(), bytes.size()));
  bool keep = is_text(std::string_view(bytes).substr(0, n));
  while (n > 0) {
    key.add_raw(std::string_view(bytes).substr(size, n));
    if (keep) size += n;
    if (static_cast<std::int64_t>(size) > kLargestText) {
      keep = false;
      size = 0;
    }
    if (size == bytes.size()) bytes.resize(std::max(bytes.size() * 2, expected + 1));
    SB_TRY(n, read_some(fd, bytes.data() + size, bytes.size() - size));
  }
  bytes.resize(keep ? size : 0);
  text = std::move(bytes);
  return key.finish();
}

}  // namespace

FileTable::Number FileTable::number(std::string_view seen) {
  if (const auto known = numbers_.find(seen); known != numbers_.end()) return known->second;
  const auto file = static_cast<Number>(entries_.size());
  entries_.push_back({.path = std::string(seen), .known = std::nullopt});
  numbers_.emplace(entries_.back().path, file);
  return file;
}

Result<const FileTable::Known*> FileTable::known(Number file) {
  Entry& entry = entries_[file];
  if (!entry.known) {
    SB_TRY(entry.known, look(entry.path));
  }
  return &*entry.known;
}

Result<FileTable::Known> FileTable::look(const std::string& path) {
  const std::string real = places_.real(path);
  struct stat info{};
  Known known;
  if (::stat(real.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return known;
    return fail(errno_error(fmt::format("cannot look at {}", real)));
  }
  known.type = S_ISREG(info.st_mode) ? Type::regular : S_ISDIR(info.st_mode) ? Type::folder : Type::other;
  known.mtime_ns = nanoseconds(info.st_mtim);
  known.ctime_ns = nanoseconds(info.st_ctim);
  // A sparse file of a terabyte is no input of anybody's build.
  if (info.st_size > kLargestInput) known.type = Type::other;
  if (known.type != Type::regular) return known;

  const FileState state = state_of(info);
  const bool racy = known.ctime_ns > now_ns() - kRacy || known.mtime_ns > now_ns() - kRacy;
  if (!racy) {
    SB_TRY(const std::optional<Content> stored, store_.content(state));
    if (stored) {
      known.digest = stored->digest;
      known.traits = traits_from(stored->traits);
      return known;
    }
  }
  const UniqueFd fd(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fail(errno_error(fmt::format("cannot read {}", real)));
  std::string text;
  SB_TRY(known.digest, doing(real, digest_of(fd.get(), static_cast<std::size_t>(info.st_size), text)));
  known.traits = read_traits(text);
  if (!racy) fresh_.emplace_back(state, Content{.digest = known.digest, .traits = to_text(known.traits)});
  return known;
}

Result<const Traits*> FileTable::traits(Number file) {
  SB_CHECK(known(file));
  Known& found = *entries_[file].known;
  if (!found.pooled.empty()) {
    SB_TRY(const std::string bytes, os::read_file(std::exchange(found.pooled, {})));
    if (is_text(bytes)) found.traits = read_traits(bytes);
  }
  return &found.traits;
}

void FileTable::promise(Number file, const Key& digest, std::int64_t mtime_ns, std::string pooled) {
  Known known;
  known.type = Type::regular;
  known.digest = digest;
  known.mtime_ns = mtime_ns;
  known.pooled = std::move(pooled);
  entries_[file].known = std::move(known);
}

Status FileTable::remember() {
  for (const auto& [state, content] : fresh_) SB_CHECK(store_.remember(state, content));
  fresh_.clear();
  return {};
}

}  // namespace sb::cache
