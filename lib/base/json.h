// JSON (RFC 8259) from machines that may be wrong or hostile, on top of nlohmann::json.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace sb {

using Json = nlohmann::json;

inline constexpr std::size_t kMaxJsonBytes = 4 * 1024 * 1024;
inline constexpr int kMaxJsonDepth = 64;

// Refuses text above kMaxJsonBytes and nesting above kMaxJsonDepth before parsing: nlohmann 3.11.2 overflows
// the stack on valid input nested 200,000 deep. Bytes that are not UTF-8 are an error, too. Errors: refused
// for the two limits, else usage.
[[nodiscard]] Result<Json> parse_json(std::string_view text);
// One line, no spaces; bytes that are not UTF-8 become U+FFFD, so that a program's output can always be sent.
[[nodiscard]] std::string dump_json(const Json& value);

// Typed members of an object. A missing or wrongly typed member is ErrorKind::usage and names the key.
[[nodiscard]] Result<std::string> json_string(const Json& object, std::string_view key);
[[nodiscard]] Result<long long> json_integer(const Json& object, std::string_view key);
// The same with a value for a missing (or null) member; a wrong type is still an error.
[[nodiscard]] Result<std::string> json_string_or(const Json& object, std::string_view key,
                                                 std::string fallback);
[[nodiscard]] Result<long long> json_integer_or(const Json& object, std::string_view key, long long fallback);
[[nodiscard]] Result<bool> json_bool_or(const Json& object, std::string_view key, bool fallback);

}  // namespace sb
