// BuildLog: Ninja's .ninja_log, version 5 (Ninja 1.5 to 1.11): for each output the hash of the command that
// made it and when. An output without an entry, or with another hash, is dirty for Ninja.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace sb::ninja {

struct LogEntry {
  std::int32_t start_ms = 0;
  std::int32_t end_ms = 0;
  std::int64_t mtime_ns = 0;  // of the output, or of the newest input where a restat rule left it alone
  std::uint64_t command_hash = 0;
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

struct BuildLog {
  std::unordered_map<std::string, LogEntry> entries;  // by output; a later line replaces an earlier one
};

// Empty when there is none. environment when it is of a version that we do not write (names the version): the
// caller then leaves everything to Ninja. A torn last line is dropped.
[[nodiscard]] Result<BuildLog> load_build_log(const std::filesystem::path& folder);
// Replaces the file by rename. Not durable: after a power cut Ninja at worst runs edges again.
[[nodiscard]] Status save(const BuildLog& log, const std::filesystem::path& folder);

// MurmurHash64A with Ninja's seed (src/build_log.cc of Ninja 1.11) over Manifest::logged_command.
[[nodiscard]] std::uint64_t command_hash(std::string_view logged_command);

}  // namespace sb::ninja
