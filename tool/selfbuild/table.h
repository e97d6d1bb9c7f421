// Text laid out for people: aligned tables, wrapped paragraphs, local times. What machines read is JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tool/selfbuild/console.h"

namespace sb::tool {

// How many columns a terminal needs for text: code points, not bytes. ANSI styles do not count.
[[nodiscard]] int width_of(std::string_view text);

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string heading;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns. A note stands below its row, indented.
  void add(std::vector<std::string> cells, std::string note = {});
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // A heading line and a line per row. Lines are cut to `columns`; 0: never.
  [[nodiscard]] std::string render(int columns) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string note;
  };
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// Breaks at blanks so that no line is wider than `columns`, where words allow. At least one line.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, int columns);
// The lines of wrapped(), the first after `first`, the others after as many blanks: a paragraph with a label.
[[nodiscard]] std::string paragraph(std::string_view first, std::string_view text, int columns);

// Milliseconds since 1970 as this machine's local time: "2026-11-20 05:15:24", and short: "11-20 05:15", or
// the date alone when it was in another year than `now_ms`.
[[nodiscard]] std::string local_time(std::int64_t unix_ms);
[[nodiscard]] std::string short_time(std::int64_t unix_ms, std::int64_t now_ms);
// "3 s", "12 min", "2 h 05 min", "9 days": for how long something has been so.
[[nodiscard]] std::string age(std::int64_t ms);

}  // namespace sb::tool
