#include "cache/upkeep.h"

#include <charconv>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kGraceMs = 3'600'000;

struct PoolFile {
  fs::path path;
  std::string name;  // "<32 digits>-<size>", or something else
  std::uint64_t size = 0;
  std::int64_t placed_ms = 0;  // ctime: a link or a rename counts
};

Result<std::vector<PoolFile>> files_of(const artifacts::OutputPool& pool) {
  std::vector<PoolFile> files;
  std::error_code code;
  if (!fs::exists(pool.root(), code)) return files;
  for (fs::recursive_directory_iterator it(pool.root(), code), end; !code && it != end; it.increment(code)) {
    struct stat info{};
    if (::lstat(it->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const std::string folder = it->path().parent_path().filename().string();
    files.push_back(
        {.path = it->path(),
         .name = folder + it->path().filename().string(),
         .size = static_cast<std::uint64_t>(info.st_size),
         .placed_ms = std::int64_t{info.st_ctim.tv_sec} * 1000 + info.st_ctim.tv_nsec / 1'000'000});
  }
  if (code) return fail(errno_error(fmt::format("cannot list {}", pool.root().string()), code.value()));
  return files;
}

std::string name_of(const artifacts::PooledId& id) {
  return fmt::format("{}-{}", id.digest.hex(), id.size);
}

// "ab" + "cdef…-12.damaged" is none.
std::optional<artifacts::PooledId> id_of(std::string_view name) {
  constexpr std::size_t kDigits = 32;
  artifacts::PooledId id;
  if (name.size() < kDigits + 2 || name[kDigits] != '-') return std::nullopt;
  const auto half = [&](std::size_t at, std::uint64_t& value) {
    const auto [end, code] = std::from_chars(name.data() + at, name.data() + at + 16, value, 16);
    return code == std::errc{} && end == name.data() + at + 16;
  };
  const auto [end, code] = std::from_chars(name.data() + kDigits + 1, name.data() + name.size(), id.size);
  if (!half(0, id.digest.high) || !half(16, id.digest.low) || code != std::errc{} ||
      end != name.data() + name.size())
    return std::nullopt;
  return id;
}

}  // namespace

Result<Holdings> holdings(ActionStore& store, const artifacts::OutputPool& pool) {
  Holdings found;
  SB_TRY(const std::vector<ResultRow> rows, store.results());
  found.results = static_cast<std::int64_t>(rows.size());
  for (const ResultRow& row : rows) found.apart += row.owner != 0 ? 1 : 0;
  SB_TRY(const std::vector<PoolFile> files, files_of(pool));
  for (const PoolFile& file : files) {
    if (!id_of(file.name)) continue;
    ++found.objects;
    found.bytes += file.size;
  }
  return found;
}

Result<Checked> verify(const artifacts::OutputPool& pool) {
  Checked checked;
  SB_TRY(const std::vector<PoolFile> files, files_of(pool));
  for (const PoolFile& file : files) {
    const auto id = id_of(file.name);
    if (!id) continue;
    ++checked.objects;
    if (!pool.verify(*id)) ++checked.damaged;
  }
  return checked;
}

Result<Pruned> prune(ActionStore& store, const artifacts::OutputPool& pool, std::uint64_t limit,
                     std::int64_t now_ms, const std::function<bool(std::int64_t)>& keeps) {
  Pruned pruned;
  std::unordered_set<Key> pinned;
  SB_TRY(const std::vector<BuildNote> builds, store.builds());
  for (const BuildNote& build : builds) {
    const bool is_fresh = now_ms - build.at_ms < kGraceMs;
    if (is_fresh || (build.owner != 0 && keeps(build.owner)))
      pinned.insert(build.results.begin(), build.results.end());
  }
  SB_TRY(const std::vector<ResultRow> rows, store.results());
  // An object goes with the last result that names it.
  std::unordered_map<std::string, int> names;
  std::uint64_t bytes = 0;
  for (const ResultRow& row : rows) {
    for (const Output& output : row.outputs) {
      if (has_bytes(output) && names[name_of(output.id)]++ == 0) bytes += output.id.size;
    }
  }
  std::vector<ResultRow> dropped;
  for (const ResultRow& row : rows) {
    if (bytes <= limit) break;
    if (pinned.contains(row.key) || now_ms - row.used_ms < kGraceMs) continue;
    for (const Output& output : row.outputs) {
      if (has_bytes(output) && --names[name_of(output.id)] == 0) bytes -= output.id.size;
    }
    dropped.push_back(row);
  }
  // Rows first: a row without bytes is a miss, bytes without a row are lost room.
  SB_CHECK(store.drop(dropped));
  SB_CHECK(store.sweep());
  pruned.results = static_cast<std::int64_t>(dropped.size());
  SB_TRY(const std::vector<PoolFile> files, files_of(pool));
  for (const PoolFile& file : files) {
    const auto named = names.find(file.name);
    if ((named != names.end() && named->second > 0) || file.path.filename() == "lock") continue;
    const bool was_dropped = named != names.end();
    if (!was_dropped && now_ms - file.placed_ms < kGraceMs) continue;
    if (::unlink(file.path.c_str()) != 0) continue;
    ++pruned.objects;
    pruned.bytes += file.size;
  }
  return pruned;
}

}  // namespace sb::cache
