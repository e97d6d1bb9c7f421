#include "cache/memo_files.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/key.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kLargest = 256 << 20;
constexpr std::uint64_t kMostBytes = 128 << 20;  // of all files

}  // namespace

// The digest of the bytes stands before them.
std::optional<std::string> MemoFiles::load(std::string_view name) const {
  const fs::path path = folder_ / name;
  Result<std::string> bytes = os::read_file(path, kLargest);
  if (!bytes || bytes->size() < kKeyBytes) return std::nullopt;
  const std::string_view whole = *bytes;
  if (key_of(whole.substr(kKeyBytes)) != Key::from_bytes(whole.substr(0, kKeyBytes))) return std::nullopt;
  (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // it is used
  bytes->erase(0, kKeyBytes);
  return *std::move(bytes);
}

void MemoFiles::save(std::string_view name, std::string_view bytes) const {
  if (!writes_ || bytes.size() + kKeyBytes > kLargest || !os::make_folders(folder_)) return;
  if (os::replace_file(folder_ / name, key_of(bytes).bytes().append(bytes))) drop_old();
}

void MemoFiles::drop_old() const {
  struct File {
    fs::path path;
    std::int64_t used_ns = 0;
    std::uint64_t size = 0;
  };
  std::vector<File> files;
  std::error_code code;
  for (fs::directory_iterator it(folder_, code), end; !code && it != end; it.increment(code)) {
    struct stat info{};
    if (::lstat(it->path().c_str(), &info) != 0) continue;  // another build's, which has just replaced it
    files.push_back({.path = it->path(),
                     .used_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec,
                     .size = static_cast<std::uint64_t>(info.st_size)});
  }
  std::ranges::sort(files, std::greater(), &File::used_ns);
  std::uint64_t sum = 0;
  for (const File& file : files) {
    sum += file.size;
    if (sum > kMostBytes && &file != &files.front()) fs::remove(file.path, code);
  }
}

}  // namespace sb::cache
