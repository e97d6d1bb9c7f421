// git's binary patches: base85 lines of deflated bytes, whole or as a delta. Every size is known and capped
// before a byte is inflated, so that a small patch cannot fill the memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "staging/patch_reader.h"

namespace sb::staging {

// Decodes one line (a length letter and groups of five characters) and appends its bytes; false when it is
// none.
[[nodiscard]] bool append_base85_line(std::string_view line, std::string& out);

// The new bytes of a file. refused with rule::kBinaryDelta when the data does not inflate to exactly the size
// it names, or the delta reaches outside its base; rule::kTooLarge above max_bytes; conflict when the delta
// is against other bytes than `old`.
[[nodiscard]] Result<std::string> apply_binary(const BinaryHunk& hunk, std::string_view old,
                                               std::string_view path, std::size_t max_bytes);

}  // namespace sb::staging
