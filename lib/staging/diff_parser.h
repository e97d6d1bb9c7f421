// Reads the diff of one file: git's extended headers, names, hunks, binary data. The inner half of
// patch_reader.h.
#pragma once

#include "base/result.h"
#include "staging/patch_lines.h"
#include "staging/patch_reader.h"

namespace sb::staging {

// True when a file's diff begins here.
[[nodiscard]] bool begins_diff(const PatchLines& lines);
// Reads from where begins_diff is true to the first line that does not belong to this file any more.
[[nodiscard]] Result<FilePatch> read_diff(PatchLines& lines);

}  // namespace sb::staging
