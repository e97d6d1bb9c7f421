// Small, total functions on text that more than one folder needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb {

[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);  // without their "\n"
// What stands between; empty parts are left out.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char at);
[[nodiscard]] std::string lower_case(std::string_view text);  // of ASCII
[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);
// The last n lines of text, for a log excerpt.
[[nodiscard]] std::string last_lines(std::string_view text, std::size_t n);

// Cuts a text in UTF-8 to at most `columns` characters, "…" standing for what was cut; counts a character as
// one column. Control characters become "?": what a file is named must not move the cursor.
[[nodiscard]] std::string cut_to_columns(std::string_view text, int columns);

// "1.5 s", "12 ms", "2 min 05 s"; sizes in binary units: "1.5 MiB".
[[nodiscard]] std::string human_duration(std::chrono::milliseconds duration);
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
// "500ms", "10s", "5m", "2h", and plain "10" as seconds; "512M", "2G", "64K" (binary) and plain bytes.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);
// Milliseconds since the epoch as "2026-11-20T05:15:24Z".
[[nodiscard]] std::string iso_time(std::int64_t unix_ms);

}  // namespace sb
