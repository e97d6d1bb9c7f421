#include "ninja/build_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "ninja/files.h"
#include "os/file_system.h"

namespace sb::ninja {
namespace {

constexpr std::string_view kLogName = ".ninja_log";
constexpr std::string_view kLogSignature = "# ninja log v";
constexpr std::string_view kHeader = "# ninja log v5\n";

template <typename T>
bool read_number(std::string_view text, T& number, int base = 10) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return code == std::errc{} && end == text.data() + text.size();
}

// start, end, mtime, output, hash
using Fields = std::array<std::string_view, 5>;
std::optional<Fields> split(std::string_view line) {
  Fields fields;
  for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) return std::nullopt;
    fields[i] = line.substr(0, tab);
    line.remove_prefix(tab + 1);
  }
  fields.back() = line;
  return fields;
}

std::optional<LogEntry> entry_of(const Fields& fields) {
  LogEntry entry;
  if (read_number(fields[0], entry.start_ms) && read_number(fields[1], entry.end_ms) &&
      read_number(fields[2], entry.mtime_ns) && read_number(fields[4], entry.command_hash, 16))
    return entry;
  return std::nullopt;
}

}  // namespace

Result<BuildLog> load_build_log(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kLogName;
  Result<std::string> text = read_regular_file(path, kLargestLog);
  BuildLog log;
  if (!text && text.error().kind == ErrorKind::not_found) return log;
  if (!text) return fail(std::move(text).error());
  std::string_view rest = *text;
  if (rest.empty()) return log;
  if (!rest.starts_with(kHeader)) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    const std::string version(line.starts_with(kLogSignature) ? line.substr(kLogSignature.size(), 20) : "?");
    return fail(ErrorKind::environment,
                fmt::format("{} is of version {}; 5 is the one that is known", path.string(), version));
  }
  rest.remove_prefix(kHeader.size());
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::optional<Fields> fields = split(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (!fields) continue;
    // A line that two writers have mixed up still says that the output was made again: what an older line
    // knows about it is not true any more.
    std::string output((*fields)[3]);
    if (const std::optional<LogEntry> entry = entry_of(*fields))
      log.entries.insert_or_assign(std::move(output), *entry);
    else
      log.entries.erase(output);
  }
  return log;
}

Status save(const BuildLog& log, const std::filesystem::path& folder) {
  std::vector<const std::pair<const std::string, LogEntry>*> sorted;  // the same log is the same file
  sorted.reserve(log.entries.size());
  for (const auto& entry : log.entries) {
    // What the format cannot say Ninja would read as something else.
    if (entry.first.find_first_of("\t\n") == std::string::npos) sorted.push_back(&entry);
  }
  std::ranges::sort(sorted, {}, [](const auto* entry) -> const std::string& { return entry->first; });
  std::string text(kHeader);
  for (const auto* entry : sorted) {
    const auto& [output, made] = *entry;
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\t{}\t{:x}\n", made.start_ms, made.end_ms,
                   made.mtime_ns, output, made.command_hash);
  }
  return os::replace_file(folder / kLogName, text);
}

// MurmurHash64A is Austin Appleby's, in the public domain.
std::uint64_t command_hash(std::string_view logged_command) {
  constexpr std::uint64_t kSeed = 0xDECAFBADDECAFBAD;
  constexpr std::uint64_t kFactor = 0xc6a4a7935bd1e995;
  constexpr unsigned kShift = 47;
  std::uint64_t hash = kSeed ^ (logged_command.size() * kFactor);
  for (; logged_command.size() >= 8; logged_command.remove_prefix(8)) {
    std::uint64_t block = 0;
    std::memcpy(&block, logged_command.data(), sizeof block);
    block *= kFactor;
    block ^= block >> kShift;
    hash = (hash ^ (block * kFactor)) * kFactor;
  }
  if (!logged_command.empty()) {
    std::uint64_t tail = 0;
    std::memcpy(&tail, logged_command.data(), logged_command.size());
    hash = (hash ^ tail) * kFactor;
  }
  hash = (hash ^ (hash >> kShift)) * kFactor;
  return hash ^ (hash >> kShift);
}

}  // namespace sb::ninja
