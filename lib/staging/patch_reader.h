// Reads a patch: one or several git-format-patch mails in one file (mbox), or a bare unified diff as
// git-diff(1) or diff(1) writes it. Only syntax is judged here; path_rules.h and patched_tree.h say what may
// come of it.
//
// There is one reading of the bytes: what this returns is what is checked and what is applied. A patch that
// ends too early, has more lines than a hunk's header says, or names one file in two ways is refused whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sb::staging {

inline constexpr std::size_t kMaxPatchBytes = 64U << 20U;
inline constexpr std::size_t kMaxFileBytes = 64U << 20U;  // of one file's result
inline constexpr std::size_t kMaxPatchFiles = 10'000;
inline constexpr std::size_t kMaxMails = 1'000;

struct HunkLine {
  char sign = ' ';        // ' ', '-' or '+'
  std::string_view text;  // with its "\n", but for "\ No newline at end of file"; points into the patch
};
struct Hunk {
  std::uint32_t old_start = 0;  // from 1; 0 when old_count is 0
  std::uint32_t old_count = 0;
  std::uint32_t new_start = 0;
  std::uint32_t new_count = 0;
  std::vector<HunkLine> lines;
  std::string header;  // "@@ -1,7 +1,8 @@"
};
struct BinaryHunk {
  bool is_delta = false;   // against the old file; else the whole new file
  std::uint64_t size = 0;  // that it says it inflates to
  std::string deflated;
};

enum class FileAction { modify, add, remove, rename, copy };
struct FilePatch {
  FileAction action = FileAction::modify;
  std::string old_path;  // for add the same as new_path, and the other way round for remove
  std::string new_path;
  unsigned old_mode = 0;  // 0: not said
  unsigned new_mode = 0;
  std::string old_id;  // abbreviated blob names of the index line, or empty
  std::string new_id;
  std::vector<Hunk> hunks;
  std::optional<BinaryHunk> binary;
  bool is_plain = false;  // diff(1): adding and removing show only in hunk numbers
};

// One commit to be.
struct Mail {
  std::string author_name;  // empty for a bare diff
  std::string author_email;
  std::optional<std::int64_t> unix_time;
  int minutes_east = 0;
  std::string message;  // subject, blank line, body; empty for a bare diff
  std::vector<FilePatch> files;
};

// The result points into `patch`. Errors: refused, with the name of a rule of path_rules.h.
[[nodiscard]] Result<std::vector<Mail>> read_patch(std::string_view patch);

}  // namespace sb::staging
