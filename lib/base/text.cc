#include "base/text.h"

#include <algorithm>
#include <charconv>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace sb {
namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

// A decimal number followed by one of the units; the unit with an empty suffix is the default.
Result<std::uint64_t> parse_with_unit(std::string_view text, std::string_view kind, std::string_view example,
                                      std::initializer_list<Unit> units) {
  const auto wrong = [&] {
    Error error = make_error(ErrorKind::usage, fmt::format("\"{}\" is not a {}", text, kind));
    error.expected = std::string(example);
    error.found = std::string(text);
    return fail(std::move(error));
  };
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{}) return wrong();
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& unit : units) {
    if (suffix != unit.suffix) continue;
    if (number > (std::uint64_t{1} << 62U) / unit.factor) return wrong();
    return number * unit.factor;
  }
  return wrong();
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string last_lines(std::string_view text, std::size_t n) {
  const auto lines = split_lines(text);
  std::string tail;
  for (std::size_t i = lines.size() > n ? lines.size() - n : 0; i < lines.size(); ++i) {
    tail += lines[i];
    tail += '\n';
  }
  return tail;
}

std::string human_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return fmt::format("{} min {:02} s", ms / 60'000, ms / 1000 % 60);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::string_view unit;
  for (const std::string_view next : {"KiB", "MiB", "GiB", "TiB"}) {
    value /= 1024;
    unit = next;
    if (value < 1024) break;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  SB_TRY(const std::uint64_t ms,
         parse_with_unit(text, "duration", "a whole number and ms, s, m or h, like 10s",
                         {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}));
  return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  return parse_with_unit(text, "size", "a whole number and K, M or G, like 512M",
                         {{"", 1}, {"K", 1U << 10U}, {"M", 1U << 20U}, {"G", 1U << 30U}});
}

std::string iso_time(std::int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)));
}

std::string cut_to_columns(std::string_view text, int columns) {
  std::string cut;
  int used = 0;
  const auto width = std::ranges::count_if(text, [](char c) { return !continues_character(c); });
  const bool whole = width <= columns;
  for (const char c : text) {
    if (!continues_character(c) && ++used > (whole ? columns : columns - 1)) break;
    cut += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  if (!whole && columns > 0) cut += "…";
  return cut;
}

}  // namespace sb
