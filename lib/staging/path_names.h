// Names as file systems and people see them: which spellings are git's own folder, which code points are not
// seen at all, and which two names some file system or some reader takes for one. Used by path_rules.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sb::staging {

// The code points of strict UTF-8 (no overlong forms, no surrogates); nothing when the bytes are not UTF-8.
[[nodiscard]] std::optional<std::u32string> decode_utf8(std::string_view bytes);

// A component that is `.git`, also as HFS+ (case, ignored code points) and NTFS (case, `git~1`, final dots
// and blanks, `:stream`) read it, and at any place between backslashes.
[[nodiscard]] bool is_git_folder(std::string_view component);
// The same for `.gitmodules` (short names gitmod~1 to ~4 and gi7eba~1 to ~9).
[[nodiscard]] bool is_submodule_file(std::string_view component);

[[nodiscard]] bool is_control(char32_t point);  // C0, DEL, C1
[[nodiscard]] bool is_invisible(
    char32_t point);  // zero-width, bidi controls, soft hyphen, tags, variation selectors
// Marks that make a decomposed (NFD) spelling of a precomposed letter: Latin, Greek, Cyrillic diacritics,
// kana voicing marks, conjoining Hangul jamo.
[[nodiscard]] bool is_combining(char32_t point);

// Two names with the same fold are one file on a case-insensitive file system.
[[nodiscard]] std::string fold_case(std::string_view name);

// For error texts: control characters, bytes that are not UTF-8 and code points that are not seen become
// escapes.
[[nodiscard]] std::string printable(std::string_view name);

[[nodiscard]] std::vector<std::string_view> split_path(std::string_view path, char separator = '/');

}  // namespace sb::staging
