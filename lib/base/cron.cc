#include "base/cron.h"

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace sb {
namespace {

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Word {
  std::string_view word;
  std::string_view expression;
};
constexpr std::array<Word, 8> kWords{{{"@hourly", "0 * * * *"},
                                      {"@daily", "0 0 * * *"},
                                      {"@midnight", "0 0 * * *"},
                                      {"@nightly", "0 3 * * *"},
                                      {"@weekly", "0 0 * * 0"},
                                      {"@monthly", "0 0 1 * *"},
                                      {"@yearly", "0 0 1 1 *"},
                                      {"@annually", "0 0 1 1 *"}}};

struct Field {
  std::string_view name;
  int low;
  int high;
  std::span<const std::string_view> names;
  int first_name;
};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<int> number(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (text.size() != 3) break;
    bool same = true;
    for (std::size_t c = 0; c < 3; ++c) same = same && (text[c] | 0x20) == field.names[i][c];
    if (same) return static_cast<int>(i) + field.first_name;
  }
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value < field.low || value > field.high)
    return {};
  return value;
}

// One of "*", "7", "1-5", each with an optional "/step"; sets its bits.
template <std::size_t N>
bool set_part(const Field& field, std::string_view part, std::bitset<N>& bits) {
  const auto with_step = split(part, "/");
  int step = 1;
  if (with_step.size() > 2) return false;
  if (with_step.size() == 2) {
    const Field positive{field.name, 1, field.high, {}, 0};
    const auto given = number(positive, with_step[1]);
    if (!given) return false;
    step = *given;
  }
  int from = field.low;
  int to = field.high;
  if (with_step[0] != "*") {
    const auto range = split(with_step[0], "-");
    const auto begin = number(field, range[0]);
    const auto end = range.size() == 2 ? number(field, range[1]) : begin;
    if (range.size() > 2 || !begin || !end || *end < *begin) return false;
    from = *begin;
    to = range.size() == 1 && with_step.size() == 2 ? field.high : *end;
  }
  for (int value = from; value <= to; value += step) bits.set(static_cast<std::size_t>(value));
  return true;
}

template <std::size_t N>
Status set_field(const Field& field, std::string_view text, std::bitset<N>& bits) {
  for (const std::string_view part : split(text, ",")) {
    if (set_part(field, part, bits)) continue;
    Error error = make_error(ErrorKind::usage, fmt::format("\"{}\" is no {}", part, field.name));
    error.expected =
        fmt::format("{} to {}, *, a range 1-5, a step */10 or a list 1,2", field.low, field.high);
    error.found = std::string(text);
    return fail(std::move(error));
  }
  return {};
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  for (const Word& word : kWords) {
    if (text == word.word) return parse(word.expression);
  }
  std::vector<std::string_view> fields;
  for (const std::string_view part : split(text, " \t")) {
    if (!part.empty()) fields.push_back(part);
  }
  if (fields.size() != 5) {
    Error error = make_error(ErrorKind::usage, fmt::format("\"{}\" is no cron expression", text));
    error.expected = "minute hour day-of-month month day-of-week, or a word like @nightly";
    error.found = fmt::format("{} field{}", fields.size(), fields.size() == 1 ? "" : "s");
    return fail(std::move(error));
  }
  Cron cron;
  SB_CHECK(set_field({"minute", 0, 59, {}, 0}, fields[0], cron.minutes_));
  SB_CHECK(set_field({"hour", 0, 23, {}, 0}, fields[1], cron.hours_));
  SB_CHECK(set_field({"day of the month", 1, 31, {}, 0}, fields[2], cron.days_));
  SB_CHECK(set_field({"month", 1, 12, kMonths, 1}, fields[3], cron.months_));
  SB_CHECK(set_field({"day of the week", 0, 7, kWeekdays, 0}, fields[4], cron.weekdays_));
  if (cron.weekdays_.test(7)) cron.weekdays_.set(0);  // 7 is Sunday, too
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  return cron;
}

bool Cron::day_matches(const std::tm& local) const {
  if (!months_.test(static_cast<std::size_t>(local.tm_mon) + 1)) return false;
  const bool day = days_.test(static_cast<std::size_t>(local.tm_mday));
  const bool weekday = weekdays_.test(static_cast<std::size_t>(local.tm_wday));
  // crontab(5): when both are restricted, either one is enough.
  return any_day_ || any_weekday_ ? day && weekday : day || weekday;
}

bool Cron::matches(const std::tm& local) const {
  return day_matches(local) && hours_.test(static_cast<std::size_t>(local.tm_hour)) &&
         minutes_.test(static_cast<std::size_t>(local.tm_min));
}

std::int64_t Cron::next_after(std::int64_t unix_seconds) const {
  constexpr std::int64_t kFiveYears = 5 * 366 * 86'400LL;
  std::time_t at = unix_seconds - unix_seconds % 60 + 60;
  while (at - unix_seconds <= kFiveYears) {
    std::tm local{};
    ::localtime_r(&at, &local);
    if (matches(local)) return at;
    // To the next full hour where nothing in this one can match: an hour is never skipped by more than the
    // clocks do.
    const bool hour_can = day_matches(local) && hours_.test(static_cast<std::size_t>(local.tm_hour));
    at += hour_can ? 60 : 60 * (60 - local.tm_min);
  }
  return 0;
}

}  // namespace sb
