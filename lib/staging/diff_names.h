// The names in a diff's headers: quoting, a/ and b/ prefixes, and whether they all speak of the same file.
// Used by diff_parser.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::staging {

inline constexpr std::string_view kNoFile = "/dev/null";

// The name in the rest of a header line: C-quoted, or up to a tab (diff(1) writes a time behind one).
[[nodiscard]] Result<std::string> read_name(std::string_view text);
// Without its first folder ("a/", "b/"). Refuses what would only become harmless by that: absolute paths,
// `../x`.
[[nodiscard]] Result<std::string> strip_prefix(std::string_view path);

// The rest of a "diff --git" line. Unquoted names with blanks make it ambiguous: several ways to divide it
// are tried. The one name that both sides have, when they have the same.
[[nodiscard]] std::optional<std::string> common_name(std::string_view header);
// True when it can be read as these two names (each without prefix).
[[nodiscard]] bool names_are(std::string_view header, std::string_view old_name, std::string_view new_name);

}  // namespace sb::staging
