#include "cache/shared_libraries.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <unordered_set>

#include <fmt/format.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestCache = 64 << 20;
constexpr std::string_view kCacheMagic = "glibc-ld.so.cache1.1";
constexpr std::size_t kCacheHeader = 48;
constexpr std::size_t kCacheEntry = 24;
// Where the GNU loader and musl's look by themselves; Debian's own folders beside the loader.
constexpr std::string_view kSystemFolders[] = {"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"};

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string real_path(const std::string& path) {
  std::error_code code;
  const fs::path real = fs::canonical(path, code);
  return code ? path : real.string();
}

// What "$ORIGIN" stands for: the folder of the file, which is at `real` for us, and of what it is a link to.
std::vector<std::string> with_origin(const std::vector<std::string>& folders, const std::string& path,
                                     const std::string& real) {
  std::vector<std::string> expanded;
  for (const std::string& folder : folders) {
    std::string plain = folder;
    for (const std::string_view token : {"${ORIGIN}", "$ORIGIN"}) {
      const std::size_t at = plain.find(token);
      if (at == std::string::npos) continue;
      for (const std::string& origin : {folder_of(path), folder_of(real_path(real))})
        expanded.push_back(std::string(folder).replace(at, token.size(), origin));
      plain.clear();
      break;
    }
    if (!plain.empty()) expanded.push_back(std::move(plain));
  }
  return expanded;
}

}  // namespace

SharedLibraries::SharedLibraries(const Places& places, const std::vector<std::string>& environment)
    : places_(places) {
  for (const std::string& variable : environment) {
    if (variable.starts_with("LD_LIBRARY_PATH=")) folders_ = split(variable.substr(16), ':');
    if (!variable.starts_with("LD_PRELOAD=")) continue;
    for (const std::string& part : split(variable.substr(11), ':')) {
      for (std::string& name : split(part, ' ')) preloaded_.push_back(std::move(name));
    }
  }
  if (const Result<std::string> text = os::read_file("/etc/ld.so.preload")) {
    for (const std::string_view line : split_lines(*text)) {
      for (std::string& name : split(line, ' ')) preloaded_.push_back(std::move(name));
    }
  }
  if (const Result<std::string> bytes = os::read_file("/etc/ld.so.cache", kLargestCache)) read_cache(*bytes);
}

// The format is documented by glibc's sysdeps/generic/dl-cache.h alone: a header, entries (flags, name, path,
// version, capabilities), and texts, whose places count from the header. An older format may stand before it.
void SharedLibraries::read_cache(std::string_view bytes) {
  const std::size_t begin = bytes.find(kCacheMagic);
  if (begin == std::string_view::npos) return;
  bytes.remove_prefix(begin);
  if (bytes.size() < kCacheHeader) return;
  const std::size_t count = number_at(bytes, kCacheMagic.size());
  const auto text_at = [&](std::size_t at) {
    return at < bytes.size() ? std::string(bytes.substr(at, bytes.find('\0', at) - at)) : std::string();
  };
  for (std::size_t i = 0; i < count && kCacheHeader + (i + 1) * kCacheEntry <= bytes.size(); ++i) {
    const std::size_t entry = kCacheHeader + i * kCacheEntry;
    cached_[text_at(number_at(bytes, entry + 4))].push_back(text_at(number_at(bytes, entry + 8)));
  }
}

const ElfFile& SharedLibraries::file(const std::string& path) {
  const auto [known, fresh] = files_.try_emplace(path);
  if (fresh) known->second = read_elf(places_.real(path));
  return known->second;
}

bool SharedLibraries::add_file(const std::string& path, const ElfFile& asking,
                               std::vector<std::string>& found) {
  const ElfFile& library = file(path);
  if (library.bits != asking.bits || library.machine != asking.machine) return false;
  found.push_back(path);
  return true;
}

// Beside the library itself, those for processors that can do more: which one is loaded, the processor says.
bool SharedLibraries::add_from(const std::string& folder, const std::string& name, const ElfFile& asking,
                               std::vector<std::string>& found) {
  const auto [known, fresh] = capabilities_.try_emplace(folder);
  if (fresh) {
    std::error_code code;
    for (fs::directory_iterator it(places_.real(folder + "/glibc-hwcaps"), code), end; !code && it != end;
         it.increment(code))
      known->second.push_back(fmt::format("{}/glibc-hwcaps/{}", folder, it->path().filename().string()));
    std::ranges::sort(known->second);
  }
  bool any = false;
  for (const std::string& better : known->second)
    any = add_file(fmt::format("{}/{}", better, name), asking, found) || any;
  return add_file(fmt::format("{}/{}", folder, name), asking, found) || any;
}

bool SharedLibraries::add(const std::string& name, const ElfFile& asking, const Search& search,
                          std::vector<std::string>& found) {
  if (name.find('/') != std::string::npos) return add_file(places_.absolute(name), asking, found);
  const auto in = [&](const std::string& folder) {
    return add_from(places_.absolute(folder), name, asking, found);
  };
  if (std::ranges::any_of(search.before, in)) return true;
  bool any = false;
  if (const auto cached = cached_.find(name); cached != cached_.end()) {
    for (const std::string& path : cached->second) any = add_file(path, asking, found) || any;
  }
  return any || std::ranges::any_of(search.after, in);
}

std::vector<std::string> SharedLibraries::folders_of(const Object& object, const ElfFile& elf,
                                                     const std::vector<std::string>& rpaths) const {
  std::vector<std::string> folders = elf.runpath.empty() ? rpaths : std::vector<std::string>();
  folders.insert(folders.end(), folders_.begin(), folders_.end());
  const std::vector<std::string> own = with_origin(elf.runpath, object.path, places_.real(object.path));
  folders.insert(folders.end(), own.begin(), own.end());
  return folders;
}

SharedLibraries::Loaded SharedLibraries::of(const std::string& program) {
  Loaded loaded;
  const ElfFile first = file(program);
  if (first.interpreter.empty() && first.needed.empty()) return loaded;
  Search search;
  if (!first.interpreter.empty()) {
    loaded.files.push_back(first.interpreter);
    search.after.push_back(folder_of(real_path(first.interpreter)));
  }
  search.after.insert(search.after.end(), std::begin(kSystemFolders), std::end(kSystemFolders));

  std::unordered_set<std::string> seen = {program};
  std::vector<Object> pending = {{.path = program, .inherited = {}}};
  while (!pending.empty()) {
    const Object object = std::move(pending.back());
    pending.pop_back();
    const ElfFile elf = file(object.path);
    std::vector<std::string> rpaths = with_origin(elf.rpath, object.path, places_.real(object.path));
    rpaths.insert(rpaths.end(), object.inherited.begin(), object.inherited.end());
    search.before = folders_of(object, elf, rpaths);
    std::vector<std::string> names = elf.needed;
    if (object.path == program) names.insert(names.end(), preloaded_.begin(), preloaded_.end());
    std::vector<std::string> found;
    for (const std::string& name : names) loaded.whole = add(name, elf, search, found) && loaded.whole;
    for (std::string& path : found) {
      if (!seen.insert(path).second) continue;
      loaded.files.push_back(path);
      pending.push_back({.path = std::move(path), .inherited = rpaths});
    }
  }
  return loaded;
}

}  // namespace sb::cache
