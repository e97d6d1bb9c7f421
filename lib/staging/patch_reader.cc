#include "staging/patch_reader.h"

#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "staging/diff_parser.h"
#include "staging/mail_headers.h"
#include "staging/patch_lines.h"
#include "staging/path_rules.h"

namespace sb::staging {
namespace {

// " 3 files changed, 12 insertions(+)": how many diffs git wrote below it.
std::optional<std::size_t> diffstat_files(std::string_view line) {
  if (!line.starts_with(' ')) return std::nullopt;
  line.remove_prefix(1);
  std::size_t files = 0;
  const auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), files);
  if (code != std::errc()) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!line.starts_with(" file changed") && !line.starts_with(" files changed")) return std::nullopt;
  return files;
}

// A diff's line where no diff has begun: the file's headers were cut off.
Status check_line_between(const PatchLines& lines) {
  const std::string_view line = lines.peek();
  if (line.starts_with("@@ -"))
    return fail(broken_at(rule::kTruncated, lines, "this hunk belongs to no file"));
  if (line.starts_with("diff --cc ") || line.starts_with("diff --combined ")) {
    return fail(broken_at(rule::kMerge, lines,
                          "a merge's combined diff cannot be applied; give the diff to one parent"));
  }
  return {};
}

Status read_files(PatchLines& lines, bool is_mail, std::size_t& files_in_all, Mail& mail) {
  std::optional<std::size_t> promised;
  while (!lines.at_end() && !(is_mail && begins_mail(lines.peek()))) {
    if (!begins_diff(lines)) {
      SB_CHECK(check_line_between(lines));
      if (is_mail && mail.files.empty() && !promised) promised = diffstat_files(lines.peek());
      lines.next();
      continue;
    }
    if (++files_in_all > kMaxPatchFiles) {
      return fail(broken_at(rule::kTooLarge, lines, fmt::format("more than {} files", kMaxPatchFiles)));
    }
    SB_TRY(FilePatch file, read_diff(lines));
    mail.files.push_back(std::move(file));
  }
  std::set<std::string_view> paths;  // a file that turns into a symlink has two diffs
  for (const FilePatch& file : mail.files) paths.insert(file.new_path);
  if (promised && *promised != paths.size()) {
    return fail(broken_at(
        rule::kTruncated, lines,
        fmt::format("the mail says that {} files changed and has diffs of {}", *promised, paths.size())));
  }
  if (mail.files.empty()) return fail(broken_at(rule::kSyntax, lines, "there is no diff in it"));
  return {};
}

}  // namespace

Error broken_at(std::string_view rule_name, int line, std::string_view why) {
  return broken_rule(rule_name, fmt::format("line {}", line), why);
}

Error broken_at(std::string_view rule_name, const PatchLines& lines, std::string_view why) {
  return broken_at(rule_name, lines.number(), why);
}

Result<std::vector<Mail>> read_patch(std::string_view patch) {
  PatchLines lines(patch);
  if (patch.size() > kMaxPatchBytes) {
    return fail(
        broken_at(rule::kTooLarge, lines,
                  fmt::format("the patch has {} bytes; the limit is {}", patch.size(), kMaxPatchBytes)));
  }
  while (!lines.at_end() && trim(lines.peek()).empty()) lines.next();
  if (lines.at_end()) return fail(broken_at(rule::kSyntax, lines, "the patch is empty"));
  const bool is_mail = begins_mail(lines.peek()) || begins_headers(lines.peek());
  std::vector<Mail> mails;
  std::size_t files = 0;
  while (!lines.at_end()) {
    if (mails.size() == kMaxMails)
      return fail(broken_at(rule::kTooLarge, lines, fmt::format("more than {} mails", kMaxMails)));
    Mail& mail = mails.emplace_back();
    if (is_mail) SB_CHECK(read_mail_head(lines, mail));
    SB_CHECK(read_files(lines, is_mail, files, mail));
  }
  return mails;
}

}  // namespace sb::staging
