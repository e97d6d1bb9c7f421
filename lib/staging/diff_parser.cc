#include "staging/diff_parser.h"

#include <charconv>

#include <fmt/format.h>

#include "staging/binary_patch.h"
#include "staging/diff_names.h"
#include "staging/path_rules.h"

namespace sb::staging {
namespace {

template <typename Number>
bool read_number(std::string_view& text, Number& out, int base = 10) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (code != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool skip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// "12,3" or "12", which means one line.
bool read_range(std::string_view& text, std::uint32_t& start, std::uint32_t& count) {
  count = 1;
  return read_number(text, start) && (!skip(text, ",") || read_number(text, count));
}

Result<unsigned> read_mode(const PatchLines& lines, std::string_view text) {
  unsigned mode = 0;
  if (!read_number(text, mode, 8) || !text.empty())
    return fail(broken_at(rule::kMode, lines, "a mode is six octal digits"));
  return mode;
}

// "index 1234567..89abcde 100644"
Status read_index_line(const PatchLines& lines, std::string_view text, FilePatch& file) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t dots = text.find("..");
  const std::size_t old_end = text.find_first_not_of(kHex);
  if (dots == std::string_view::npos || old_end != dots) {
    return fail(broken_at(rule::kSyntax, lines, "an index line is two names of blobs"));
  }
  file.old_id = text.substr(0, dots);
  text.remove_prefix(dots + 2);
  const std::size_t new_end = std::min(text.find_first_not_of(kHex), text.size());
  file.new_id = text.substr(0, new_end);
  text.remove_prefix(new_end);
  if (file.old_id.size() > 40 || file.new_id.size() > 40 || file.old_id.size() < 4 ||
      file.new_id.size() < 4) {
    return fail(broken_at(rule::kSyntax, lines, "the name of a blob has 4 to 40 hex digits"));
  }
  if (text.empty()) return {};
  if (!skip(text, " "))
    return fail(broken_at(rule::kSyntax, lines, "an index line is two names of blobs and a mode"));
  SB_TRY(const unsigned mode, read_mode(lines, text));
  if (file.old_mode == 0) file.old_mode = mode;
  if (file.new_mode == 0) file.new_mode = mode;
  return {};
}

Result<Hunk> read_hunk(PatchLines& lines) {
  Hunk hunk;
  std::string_view header = without_newline(lines.peek());
  const bool good = skip(header, "@@ -") && read_range(header, hunk.old_start, hunk.old_count) &&
                    skip(header, " +") && read_range(header, hunk.new_start, hunk.new_count) &&
                    skip(header, " @@");
  if (!good) return fail(broken_at(rule::kSyntax, lines, "a hunk begins with '@@ -1,2 +1,2 @@'"));
  hunk.header =
      fmt::format("@@ -{},{} +{},{} @@", hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count);
  lines.next();
  std::uint32_t old_left = hunk.old_count;
  std::uint32_t new_left = hunk.new_count;
  const auto take_no_newline = [&] {
    if (!lines.peek().starts_with("\\ ") || hunk.lines.empty()) return false;
    lines.next();
    hunk.lines.back().text = without_newline(hunk.lines.back().text);
    return true;
  };
  while (old_left > 0 || new_left > 0) {
    if (take_no_newline()) continue;
    const std::string_view line = lines.peek();
    const std::string_view full =
        line == "\n" ? std::string_view(" \n") : line;  // mailers cut the final blank
    const char sign = full.empty() ? '\0' : full.front();
    const bool uses_old = sign == ' ' || sign == '-';
    const bool uses_new = sign == ' ' || sign == '+';
    if (!full.ends_with('\n') || (!uses_old && !uses_new)) {
      return fail(broken_at(
          rule::kTruncated, lines,
          fmt::format("hunk {} ends {} old and {} new lines too early", hunk.header, old_left, new_left)));
    }
    if ((uses_old && old_left == 0) || (uses_new && new_left == 0)) {
      return fail(broken_at(rule::kTruncated, lines,
                            fmt::format("hunk {} has lines that its header does not count", hunk.header)));
    }
    old_left -= uses_old ? 1U : 0U;
    new_left -= uses_new ? 1U : 0U;
    hunk.lines.push_back({.sign = sign, .text = full.substr(1)});
    lines.next();
  }
  (void)take_no_newline();
  return hunk;
}

// Behind a hunk stands another one, another file, the mail's signature, or nothing that looks like a diff's
// line.
bool is_surplus(const PatchLines& lines) {
  const std::string_view line = lines.peek();
  if (line.empty() || line == "-- \n" || line == "--\n") return false;
  if (line.starts_with("--- ") && lines.peek_second().starts_with("+++ ")) return false;
  return line.front() == '+' || line.front() == '-' || line.front() == ' ';
}

Status read_hunks(PatchLines& lines, FilePatch& file) {
  while (lines.peek().starts_with("@@ -")) {
    SB_TRY(Hunk hunk, read_hunk(lines));
    file.hunks.push_back(std::move(hunk));
  }
  if (file.hunks.empty())
    return fail(broken_at(rule::kTruncated, lines, "the file's names are followed by no hunk"));
  if (is_surplus(lines)) {
    return fail(broken_at(rule::kTruncated, lines,
                          fmt::format("hunk {} is followed by lines that its header does not count",
                                      file.hunks.back().header)));
  }
  return {};
}

Result<BinaryHunk> read_binary_half(PatchLines& lines) {
  std::string_view header = without_newline(lines.peek());
  BinaryHunk hunk;
  hunk.is_delta = header.starts_with("delta ");
  if ((!skip(header, "literal ") && !skip(header, "delta ")) || !read_number(header, hunk.size) ||
      !header.empty()) {
    return fail(
        broken_at(rule::kTruncated, lines, "binary data begins with 'literal' or 'delta' and a size"));
  }
  if (hunk.size > kMaxFileBytes) {
    return fail(broken_at(rule::kTooLarge, lines,
                          fmt::format("binary data of {} bytes; the limit is {}", hunk.size, kMaxFileBytes)));
  }
  lines.next();
  while (lines.peek() != "\n") {
    if (!lines.peek().ends_with('\n'))
      return fail(broken_at(rule::kTruncated, lines, "binary data ends in the middle"));
    if (!append_base85_line(without_newline(lines.peek()), hunk.deflated)) {
      return fail(broken_at(rule::kTruncated, lines, "this is not a line of base85 data"));
    }
    lines.next();
  }
  lines.next();
  return hunk;
}

Status read_binary(PatchLines& lines, FilePatch& file) {
  lines.next();
  SB_TRY(file.binary, read_binary_half(lines));
  // The way back is there for `git apply --reverse`; it must be whole, too, or the patch was cut.
  if (!lines.peek().starts_with("literal ") && !lines.peek().starts_with("delta ")) return {};
  SB_CHECK(read_binary_half(lines));
  return {};
}

struct Names {
  std::string_view git_header;  // behind "diff --git "; empty for diff(1)
  std::optional<std::string> minus;
  std::optional<std::string> plus;
  std::optional<std::string> from;  // rename and copy
  std::optional<std::string> to;
};

std::optional<FileAction> read_action(std::string_view line) {
  if (line.starts_with("new file mode ")) return FileAction::add;
  if (line.starts_with("deleted file mode ")) return FileAction::remove;
  if (line.starts_with("rename ")) return FileAction::rename;
  if (line.starts_with("copy ")) return FileAction::copy;
  return std::nullopt;
}

// One extended header; false when the line is none.
Result<bool> read_extended_header(const PatchLines& lines, FilePatch& file, Names& names) {
  std::string_view text = without_newline(lines.peek());
  if (const auto action = read_action(text)) {
    if (file.action != FileAction::modify && file.action != *action) {
      return fail(
          broken_at(rule::kNames, lines, "one file cannot be added, removed, renamed and copied at once"));
    }
    file.action = *action;
  }
  if (skip(text, "old mode ") || skip(text, "deleted file mode ")) {
    SB_TRY(file.old_mode, read_mode(lines, text));
  } else if (skip(text, "new mode ") || skip(text, "new file mode ")) {
    SB_TRY(file.new_mode, read_mode(lines, text));
  } else if (skip(text, "rename from ") || skip(text, "copy from ")) {
    SB_TRY(names.from, read_name(text));
  } else if (skip(text, "rename to ") || skip(text, "copy to ")) {
    SB_TRY(names.to, read_name(text));
  } else if (skip(text, "index ")) {
    SB_CHECK(read_index_line(lines, text, file));
  } else {
    return text.starts_with("similarity index ") || text.starts_with("dissimilarity index ");
  }
  return true;
}

Status read_minus_plus(PatchLines& lines, Names& names) {
  std::string_view minus = without_newline(lines.next());
  minus.remove_prefix(4);
  std::string_view plus = without_newline(lines.peek());
  if (!skip(plus, "+++ "))
    return fail(broken_at(rule::kTruncated, lines, "a '---' line is followed by a '+++' line"));
  lines.next();
  SB_TRY(names.minus, read_name(minus));
  SB_TRY(names.plus, read_name(plus));
  return {};
}

// Decides old_path and new_path, and holds every header to them.
Status settle_names(const PatchLines& lines, const Names& names, FilePatch& file) {
  const auto differ = [&](std::string_view why) { return fail(broken_at(rule::kNames, lines, why)); };
  const bool moves = file.action == FileAction::rename || file.action == FileAction::copy;
  if (names.minus == kNoFile && names.plus == kNoFile) return differ("both names are /dev/null");
  if (names.minus == kNoFile) {
    if (file.action != FileAction::add && !file.is_plain)
      return differ("the old name is /dev/null, but the file is not new");
    file.action = FileAction::add;
  }
  if (names.plus == kNoFile) {
    if (file.action != FileAction::remove && !file.is_plain)
      return differ("the new name is /dev/null, but the file is not deleted");
    file.action = FileAction::remove;
  }
  if (names.minus && names.minus != kNoFile) {
    SB_TRY(file.old_path, strip_prefix(*names.minus));
  }
  if (names.plus && names.plus != kNoFile) {
    SB_TRY(file.new_path, strip_prefix(*names.plus));
  }
  if (moves) {
    if (!names.from || !names.to) return differ("a rename or copy names both files");
    if (names.minus && (file.old_path != *names.from || file.new_path != *names.to)) {
      return differ("the names of the rename and of '---' and '+++' differ");
    }
    file.old_path = *names.from;
    file.new_path = *names.to;
  } else if (!names.minus) {
    const auto common = common_name(names.git_header);
    if (!common) return differ("the 'diff --git' line does not name one file twice");
    file.old_path = *common;
    file.new_path = *common;
  }
  if (file.action == FileAction::add) file.old_path = file.new_path;
  if (file.action == FileAction::remove) file.new_path = file.old_path;
  if (!moves && file.old_path != file.new_path) {
    return differ(fmt::format("the old name is {} and the new one {}, but it is not a rename", file.old_path,
                              file.new_path));
  }
  if (!file.is_plain && names.minus && !names_are(names.git_header, file.old_path, file.new_path)) {
    return differ(fmt::format("the 'diff --git' line does not name {}", file.new_path));
  }
  return {};
}

bool says_nothing(const FilePatch& file) {
  if (!file.hunks.empty() || file.binary) return false;
  // git writes no hunk for an empty file, and this is what it calls the empty blob.
  constexpr std::string_view kEmptyBlob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
  const auto is_empty_blob = [&](const std::string& id) { return id.empty() || kEmptyBlob.starts_with(id); };
  switch (file.action) {
    case FileAction::add:
      return !is_empty_blob(file.new_id);
    case FileAction::remove:
      return !is_empty_blob(file.old_id);
    case FileAction::modify:
      return file.old_mode == file.new_mode || file.old_id != file.new_id;
    case FileAction::rename:
    case FileAction::copy:
      return file.old_id != file.new_id;
  }
  return true;
}

Result<FilePatch> read_git_diff(PatchLines& lines) {
  const int first = lines.number();
  FilePatch file;
  Names names;
  names.git_header = without_newline(lines.next());
  names.git_header.remove_prefix(std::string_view("diff --git ").size());
  while (true) {
    SB_TRY(const bool was_header, read_extended_header(lines, file, names));
    if (!was_header) break;
    lines.next();
  }
  const std::string_view line = lines.peek();
  if (line.starts_with("Binary files ") || line.starts_with("Files ")) {
    Error error =
        broken_at(rule::kBinaryWithoutData, lines, "the patch says that a binary file changed, but not how");
    error.next = "git format-patch --binary --full-index";
    return fail(std::move(error));
  }
  if (line.starts_with("--- ")) {
    SB_CHECK(read_minus_plus(lines, names));
    SB_CHECK(read_hunks(lines, file));
  } else if (line == "GIT binary patch\n") {
    SB_CHECK(read_binary(lines, file));
  }
  SB_CHECK(settle_names(lines, names, file));
  if (says_nothing(file)) {
    return fail(broken_at(rule::kTruncated, first,
                          fmt::format("{} should change, but no hunk says how", file.new_path)));
  }
  return file;
}

}  // namespace

bool begins_diff(const PatchLines& lines) {
  const std::string_view line = lines.peek();
  return line.starts_with("diff --git ") ||
         (line.starts_with("--- ") && lines.peek_second().starts_with("+++ "));
}

Result<FilePatch> read_diff(PatchLines& lines) {
  if (lines.peek().starts_with("diff --git ")) return read_git_diff(lines);
  FilePatch file;
  file.is_plain = true;
  Names names;
  SB_CHECK(read_minus_plus(lines, names));
  SB_CHECK(read_hunks(lines, file));
  SB_CHECK(settle_names(lines, names, file));
  return file;
}

}  // namespace sb::staging
