#include "cache/file_table.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <thread>

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
constexpr std::int64_t kYoung = 600 * kSecond;  // since it was made by a checkout, most likely
constexpr std::size_t kAtOnce = 16;             // files that a thread takes
constexpr std::size_t kMostReaders = 4;

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

// What the file system says of a file, and its content where that was read.
struct FileTable::Look {
  Known known;
  FileState state{};
  bool is_read = false;
  bool is_racy = false;

  [[nodiscard]] bool needs_content() const { return known.type == Type::regular && !is_read; }
  [[nodiscard]] bool is_young() const { return known.ctime_ns > now_ns() - kYoung; }

  [[nodiscard]] static Result<Look> at(const std::string& real) {
    Look look;
    struct stat info{};
    if (::stat(real.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return look;
      return fail(errno_error(fmt::format("cannot look at {}", real)));
    }
    Known& known = look.known;
    known.type = S_ISREG(info.st_mode) ? Type::regular : S_ISDIR(info.st_mode) ? Type::folder : Type::other;
    known.mtime_ns = nanoseconds(info.st_mtim);
    known.ctime_ns = nanoseconds(info.st_ctim);
    // A sparse file of a terabyte is no input of anybody's build.
    if (info.st_size > kLargestInput) known.type = Type::other;
    look.state = state_of(info);
    look.is_racy = known.ctime_ns > now_ns() - kRacy || known.mtime_ns > now_ns() - kRacy;
    return look;
  }

  [[nodiscard]] Status read(const std::string& real) {
    const UniqueFd fd(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) return fail(errno_error(fmt::format("cannot read {}", real)));
    std::string text;
    SB_TRY(known.digest, doing(real, digest_of(fd.get(), static_cast<std::size_t>(state.size), text)));
    known.traits = read_traits(text);
    is_read = true;
    return {};
  }
};

// The files that read_ahead() was given: each is taken by the thread that comes to it first.
class FileTable::ReadAhead {
 public:
  struct Item {
    Number file;
    std::string real;
    std::optional<Look> look{};  // nothing: left to known(), which says what is wrong
  };

  explicit ReadAhead(std::vector<Item> items) : items_(std::move(items)) {
    const std::size_t helpers =
        std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostReaders) - 1;
    for (std::size_t i = 0; i < helpers; ++i) threads_.emplace_back([this] { work(); });
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead() { next_ = items_.size(); }

  [[nodiscard]] std::vector<Item>& finish() {
    work();
    threads_.clear();
    return items_;
  }

 private:
  void work() {
    while (true) {
      const std::size_t begin = next_.fetch_add(kAtOnce);
      if (begin >= items_.size()) return;
      for (std::size_t i = begin; i < std::min(begin + kAtOnce, items_.size()); ++i) {
        Result<Look> look = Look::at(items_[i].real);
        if (!look || !look->needs_content() || !look->is_young() || !look->read(items_[i].real)) continue;
        items_[i].look = *std::move(look);
      }
    }
  }

  std::vector<Item> items_;
  std::atomic<std::size_t> next_{0};
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

FileTable::FileTable(const Places& places, ActionStore& store) : places_(places), store_(store) {}
FileTable::~FileTable() = default;

void FileTable::read_ahead(std::span<const Number> files) {
  take_ahead();
  std::vector<Number> once(files.begin(), files.end());
  std::ranges::sort(once);
  once.erase(std::ranges::unique(once).begin(), once.end());
  std::vector<ReadAhead::Item> items;
  for (const Number file : once) {
    if (!entries_[file].known) items.push_back({.file = file, .real = places_.real(entries_[file].path)});
  }
  if (items.size() > kAtOnce) ahead_ = std::make_unique<ReadAhead>(std::move(items));
}

void FileTable::take_ahead() {
  const std::unique_ptr<ReadAhead> ahead = std::move(ahead_);
  if (!ahead) return;
  for (ReadAhead::Item& item : ahead->finish()) {
    std::optional<Known>& known = entries_[item.file].known;
    if (item.look && !known) known = note(*std::move(item.look));
  }
}

Result<FileTable::Known> FileTable::look(const std::string& path) {
  const std::string real = places_.real(path);
  SB_TRY(Look look, Look::at(real));
  if (!look.needs_content()) return look.known;
  if (!look.is_racy) {
    SB_TRY(const std::optional<Content> stored, store_.content(look.state));
    if (stored) {
      look.known.digest = stored->digest;
      look.known.traits = traits_from(stored->traits);
      return look.known;
    }
  }
  SB_CHECK(look.read(real));
  return note(std::move(look));
}

// One that was read.
FileTable::Known FileTable::note(Look look) {
  if (!look.is_racy)
    fresh_.emplace_back(look.state,
                        Content{.digest = look.known.digest, .traits = to_text(look.known.traits)});
  return std::move(look.known);
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
