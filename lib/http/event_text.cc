#include "http/event_text.h"

#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::http {

std::string event_text(std::int64_t id, std::string_view kind, std::string_view data) {
  std::string text = fmt::format("id: {}\nevent: {}\n", id, kind);
  for (const std::string_view line : split_lines(data)) text += fmt::format("data: {}\n", line);
  return text + '\n';
}

std::optional<std::int64_t> last_event_id(const std::vector<Field>& fields) {
  const std::string* given = field(fields, "last-event-id");
  if (given == nullptr) return std::nullopt;
  std::int64_t id = 0;
  const auto [end, code] = std::from_chars(given->data(), given->data() + given->size(), id);
  if (code != std::errc() || end != given->data() + given->size() || id < 0) return std::nullopt;
  return id;
}

}  // namespace sb::http
