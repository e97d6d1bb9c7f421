#include "staging/mail_headers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "staging/diff_parser.h"
#include "staging/path_rules.h"

namespace sb::staging {
namespace {

bool equal_but_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

// "[PATCH v2 1/3] subject" without the bracket that git wrote; other brackets are the author's.
std::string_view without_patch_tag(std::string_view subject) {
  while (subject.starts_with('[')) {
    const std::size_t end = subject.find(']');
    if (end == std::string_view::npos || subject.substr(0, end).find("PATCH") == std::string_view::npos)
      break;
    subject = trim(subject.substr(end + 1));
  }
  return subject;
}

// A quoted string of RFC 5322 without its quotes and backslashes.
std::string unquoted(std::string_view name) {
  if (name.size() < 2 || !name.starts_with('"') || !name.ends_with('"')) return std::string(name);
  name = name.substr(1, name.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '\\' && i + 1 < name.size()) ++i;
    out.push_back(name[i]);
  }
  return out;
}

// `"A. Name" <a@example.org>`
void read_author(std::string_view text, Mail& mail) {
  const std::size_t open = text.rfind('<');
  const std::size_t close = text.rfind('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    mail.author_name = mail.author_email = trim(text);
    return;
  }
  const std::string name = unquoted(trim(text.substr(0, open)));
  mail.author_email = trim(text.substr(open + 1, close - open - 1));
  mail.author_name = name.empty() ? mail.author_email : name;
}

struct Header {
  std::string name;
  std::string value;
};

std::vector<Header> read_headers(PatchLines& lines) {
  std::vector<Header> headers;
  while (!lines.at_end() && !trim(lines.peek()).empty()) {
    const std::string_view line = lines.next();
    if ((line.starts_with(' ') || line.starts_with('\t')) && !headers.empty()) {
      headers.back().value += fmt::format(" {}", trim(line));
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    headers.push_back(
        {.name = std::string(line.substr(0, colon)), .value = std::string(trim(line.substr(colon + 1)))});
  }
  if (!lines.at_end()) lines.next();  // the blank line
  return headers;
}

Status check_encoding(const PatchLines& lines, std::string_view encoding) {
  for (const std::string_view plain : {"7bit", "8bit", "binary"}) {
    if (equal_but_case(encoding, plain)) return {};
  }
  Error error =
      broken_at(rule::kEncoded, lines,
                fmt::format("the mail's text is encoded ({}); it must be as git wrote it", encoding));
  error.next = "git format-patch --stdout -1 > fix.patch";
  return fail(std::move(error));
}

std::string read_body(PatchLines& lines, Mail& mail) {
  std::string body;
  bool at_top = true;
  while (!lines.at_end() && lines.peek() != "---\n" && !lines.peek().starts_with("diff --git ") &&
         !begins_mail(without_newline(lines.peek()))) {
    const std::string_view line = lines.next();
    // `git format-patch --from` puts the real author on top of the body.
    if (at_top && line.starts_with("From: ")) {
      read_author(trim(line.substr(6)), mail);
      continue;
    }
    if (at_top && trim(line).empty()) continue;
    at_top = false;
    body += line;
  }
  while (body.ends_with('\n') || body.ends_with(' ')) body.pop_back();
  return body;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!(text = trim(text)).empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

// A whole number of at most `digits` digits.
std::optional<int> small_number(std::string_view text, std::size_t digits) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = code == std::errc() && end == text.data() + text.size();
  if (!whole || text.size() > digits || text.starts_with('-')) return std::nullopt;
  return value;
}

}  // namespace

bool begins_mail(std::string_view line) {
  constexpr std::string_view kStart = "From ";
  constexpr std::string_view kBehind = " Mon Sep 17 00:00:00 2001";
  line = without_newline(line);
  if (line.size() != kStart.size() + 40 + kBehind.size() || !line.starts_with(kStart) ||
      !line.ends_with(kBehind))
    return false;
  return line.substr(kStart.size(), 40).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool begins_headers(std::string_view line) {
  return line.starts_with("From: ") || line.starts_with("Subject: ") || line.starts_with("Date: ");
}

Status read_mail_head(PatchLines& lines, Mail& mail) {
  if (begins_mail(lines.peek())) lines.next();
  std::string subject;
  for (const Header& header : read_headers(lines)) {
    if (equal_but_case(header.name, "From")) read_author(header.value, mail);
    if (equal_but_case(header.name, "Subject")) subject = without_patch_tag(header.value);
    if (equal_but_case(header.name, "Content-Transfer-Encoding"))
      SB_CHECK(check_encoding(lines, header.value));
    if (!equal_but_case(header.name, "Date")) continue;
    if (const auto date = parse_mail_date(header.value)) {
      mail.unix_time = date->unix_time;
      mail.minutes_east = date->minutes_east;
    }
  }
  const std::string body = read_body(lines, mail);
  mail.message = subject + "\n";
  if (!body.empty()) mail.message += fmt::format("\n{}\n", body);
  return {};
}

std::optional<MailDate> parse_mail_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::vector<std::string_view> words = words_of(text);
  if (!words.empty() && words.front().ends_with(',')) words.erase(words.begin());
  if (words.size() < 5) return std::nullopt;
  const auto day = small_number(words[0], 2);
  const auto* const month = std::ranges::find(kMonths, words[1]);
  const auto year = small_number(words[2], 4);
  std::string_view time = words[3];
  const std::string_view zone = words[4];
  if (!day || month == kMonths.end() || !year || time.size() != 8 || zone.size() != 5) return std::nullopt;
  const auto hours = small_number(time.substr(0, 2), 2);
  const auto minutes = small_number(time.substr(3, 2), 2);
  const auto seconds = small_number(time.substr(6, 2), 2);
  const auto zone_hours = small_number(zone.substr(1, 2), 2);
  const auto zone_minutes = small_number(zone.substr(3, 2), 2);
  if (!hours || !minutes || !seconds || !zone_hours || !zone_minutes) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const int east = (zone.front() == '-' ? -1 : 1) * (*zone_hours * 60 + *zone_minutes);
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return MailDate{.unix_time = days * 86400 + *hours * 3600 + *minutes * 60 + *seconds - east * 60,
                  .minutes_east = east};
}

}  // namespace sb::staging
