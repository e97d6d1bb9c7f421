#include "tool/selfbuild/table.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::tool {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kNoteIndent = "      ";

std::string padded(const std::string& text, int width, Table::Align align) {
  const std::string blanks(static_cast<std::size_t>(std::max(0, width - width_of(text))), ' ');
  return align == Table::Align::right ? blanks + text : text + blanks;
}

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string without_styles(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\x1b') {
      plain += text[i];
      continue;
    }
    i = std::min(text.find('m', i), text.size() - 1);
  }
  return plain;
}

std::tm broken_down(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return parts;
}

}  // namespace

int width_of(std::string_view text) {
  int width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const std::size_t end = text.find('m', i);
      if (end == std::string_view::npos) break;
      i = end;
      continue;
    }
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) ++width;
  }
  return width;
}

void Table::add(std::vector<std::string> cells, std::string note) {
  cells.resize(columns_.size());
  rows_.push_back({.cells = std::move(cells), .note = std::move(note)});
}

std::string Table::render(int columns) const {
  std::vector<int> widths;
  widths.reserve(columns_.size());
  for (const Column& column : columns_) widths.push_back(width_of(column.heading));
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row.cells[i]));
  }
  std::string text;
  const auto put = [&](std::string line) {
    line = without_trailing_blanks(std::move(line));
    // Cutting a styled line could lose the end of its style: a line that is too long goes without.
    text += columns > 0 && width_of(line) > columns ? cut_to_columns(without_styles(line), columns) : line;
    text += '\n';
  };
  const auto join_cells = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) line += kGap;
      line += padded(cell_of(i), widths[i], columns_[i].align);
    }
    return line;
  };
  put(join_cells([&](std::size_t i) { return columns_[i].heading; }));
  for (const Row& row : rows_) {
    put(join_cells([&](std::size_t i) { return row.cells[i]; }));
    if (!row.note.empty()) put(std::string(kNoteIndent) + row.note);
  }
  return text;
}

std::vector<std::string> wrapped(std::string_view text, int columns) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (word.empty()) continue;
    if (!lines.back().empty() && width_of(lines.back()) + 1 + width_of(word) > columns) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

std::string paragraph(std::string_view first, std::string_view text, int columns) {
  const int indent = width_of(first);
  std::string result;
  for (const std::string& line : wrapped(text, std::max(20, columns - indent))) {
    std::string whole =
        result.empty() ? std::string(first) : std::string(static_cast<std::size_t>(indent), ' ');
    whole += line;
    result += without_trailing_blanks(std::move(whole));
    result += '\n';
  }
  return result;
}

std::string local_time(std::int64_t unix_ms) {
  const std::tm t = broken_down(unix_ms);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

std::string short_time(std::int64_t unix_ms, std::int64_t now_ms) {
  const std::tm t = broken_down(unix_ms);
  if (t.tm_year != broken_down(now_ms).tm_year) {
    return fmt::format("{:04}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
  }
  return fmt::format("{:02}-{:02} {:02}:{:02}", t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min);
}

std::string age(std::int64_t ms) {
  const std::int64_t seconds = std::max<std::int64_t>(0, ms) / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} days", seconds / 86400);
}

}  // namespace sb::tool
