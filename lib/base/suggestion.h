// Did-you-mean: the candidate nearest to a mistyped word.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sb {

// The candidate with the smallest Damerau-Levenshtein distance (optimal string alignment), when it is small
// enough to be a slip of the fingers: at most a third of the word's length, at least 1.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 std::span<const std::string> candidates);

}  // namespace sb
