#include "cache/file_table.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <functional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/on_threads.h"
#include "base/unique_fd.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kRacy = 2 * kSecond;
constexpr std::int64_t kLargestInput = std::int64_t{4} << 30;
constexpr std::int64_t kLargestText = 16 << 20;
constexpr std::size_t kBlock = 256 << 10;
// That are worth a thread:
constexpr std::size_t kFewestToLook = 100;
constexpr std::size_t kFewestToRead = 4;

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

// It may change again without showing it.
bool is_racy(const FileState& state) {
  const std::int64_t since = now_ns() - kRacy;
  return state.ctime_ns > since || state.mtime_ns > since;
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
  std::size_t total = 0;
  KeyBuilder key;
  SB_TRY(std::size_t n, read_some(fd, bytes.data(), bytes.size()));
  bool keep = is_text(std::string_view(bytes).substr(0, n));
  while (n > 0) {
    key.add_raw(std::string_view(bytes).substr(size, n));
    total += n;
    const bool is_all = total == expected && n < bytes.size() - size;  // the end need not be asked for
    if (keep) size += n;
    if (is_all) break;
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
  return numbers_.intern(seen, [&](std::string_view path) -> std::string_view {
    return entries_.emplace_back(Entry{.path = std::string(path), .known = std::nullopt}).path;
  });
}

Result<const FileTable::Known*> FileTable::known(Number file) {
  if (!entries_[file].known) SB_CHECK(know({&file, 1}));
  return &*entries_[file].known;
}

Status FileTable::know(std::span<const Number> files) {
  std::vector<Number> once(files.begin(), files.end());
  std::ranges::sort(once);
  once.erase(std::ranges::unique(once).begin(), once.end());
  std::vector<Look> looks;
  looks.reserve(once.size());
  for (const Number file : once) {
    if (!entries_[file].known) looks.push_back({.file = file, .known = {}});
  }
  on_threads(looks.size(), kFewestToLook, [&](std::size_t i) { look(looks[i]); });
  for (Look& look : looks) SB_CHECK(recall(look));
  std::vector<Look*> changed;
  for (Look& look : looks) {
    if (look.is_read) changed.push_back(&look);
  }
  // The largest first, or the last thread has a compiler to read when the others are done.
  std::ranges::sort(changed, std::greater(), [](const Look* look) { return look->state.size; });
  on_threads(changed.size(), kFewestToRead, [&](std::size_t i) { read(*changed[i]); });
  for (Look& look : looks) SB_CHECK(end(std::move(look)));
  return {};
}

void FileTable::look(Look& look) const {
  const std::string real = places_.real(path(look.file));
  struct stat info{};
  Known& known = look.known;
  if (::stat(real.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      look.done = fail(errno_error(fmt::format("cannot look at {}", real)));
    return;
  }
  known.type = S_ISREG(info.st_mode) ? Type::regular : S_ISDIR(info.st_mode) ? Type::folder : Type::other;
  known.mtime_ns = nanoseconds(info.st_mtim);
  known.ctime_ns = nanoseconds(info.st_ctim);
  // A sparse file of a terabyte is no input of anybody's build.
  if (info.st_size > kLargestInput) known.type = Type::other;
  if (known.type != Type::regular) return;
  look.state = state_of(info);
  look.is_read = true;
  look.is_racy = is_racy(look.state);
}

// What the store knows need not be read.
Status FileTable::recall(Look& look) {
  SB_CHECK(look.done);
  if (!look.is_read || look.is_racy) return {};
  SB_TRY(const std::optional<Content> stored, store_.content(look.state));
  if (!stored) return {};
  look.is_read = false;
  look.known.digest = stored->digest;
  look.known.traits = traits_from(stored->traits);
  return {};
}

void FileTable::read(Look& look) const {
  look.done = [&]() -> Status {
    const std::string real = places_.real(path(look.file));
    const UniqueFd fd(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) return fail(errno_error(fmt::format("cannot read {}", real)));
    std::string text;
    SB_TRY(look.known.digest,
           doing(real, digest_of(fd.get(), static_cast<std::size_t>(look.state.size), text)));
    look.known.traits = read_traits(text);
    return {};
  }();
}

Status FileTable::end(Look look) {
  SB_CHECK(look.done);
  if (look.is_read && !look.is_racy)
    fresh_.emplace_back(look.state,
                        Content{.digest = look.known.digest, .traits = to_text(look.known.traits)});
  entries_[look.file].known = std::move(look.known);
  return {};
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
