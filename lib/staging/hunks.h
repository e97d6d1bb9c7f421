// Applies the hunks of one text file. A hunk may have moved, but every line of it must be there exactly: no
// fuzz.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "staging/patch_reader.h"

namespace sb::staging {

// conflict when a hunk does not apply: names the file and the hunk, with the expected and the found line.
// refused (rule::kTooLarge) when looking for a moved hunk takes too long, or the result is above max_bytes.
[[nodiscard]] Result<std::string> apply_hunks(const std::vector<Hunk>& hunks, std::string_view old,
                                              std::string_view path, std::size_t max_bytes);

}  // namespace sb::staging
