// The head of a git-format-patch mail: author, date and the commit message. Used by patch_reader.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "staging/patch_lines.h"
#include "staging/patch_reader.h"

namespace sb::staging {

// "From 0123…(40 hex digits) Mon Sep 17 00:00:00 2001": what git puts before every mail.
[[nodiscard]] bool begins_mail(std::string_view line);
// A mail that lost that line: a header that a bare diff would not begin with.
[[nodiscard]] bool begins_headers(std::string_view line);

// Reads headers and message, and stops at "---" or at the first diff. Folded headers become one line; RFC
// 2047 words are left as they are. refused (rule::kEncoded) when the body is not plain text.
[[nodiscard]] Status read_mail_head(PatchLines& lines, Mail& mail);

struct MailDate {
  std::int64_t unix_time = 0;
  int minutes_east = 0;
};
// "Mon, 2 Nov 2026 10:00:00 +0100" (RFC 2822).
[[nodiscard]] std::optional<MailDate> parse_mail_date(std::string_view text);

}  // namespace sb::staging
