#include "audit/event_log.h"

namespace sb::audit {

Status EventLog::append(std::span<const Event> events) {
  if (events.empty()) return {};
  SB_TRY(sqlite::Statement put,
         database_.prepare("INSERT OR REPLACE INTO event(id, at, kind, data) VALUES(?, ?, ?, ?)"));
  for (const Event& event : events) {
    SB_CHECK(put.bind(1, event.id).bind(2, event.at_ms).bind(3, event.kind).bind(4, event.data).run());
  }
  SB_TRY(sqlite::Statement drop,
         database_.prepare(
             "DELETE FROM event WHERE id <= (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?)"));
  return drop.bind(1, kKept).run();
}

Result<std::vector<Event>> EventLog::all() {
  SB_TRY(sqlite::Statement rows, database_.prepare("SELECT id, at, kind, data FROM event ORDER BY id"));
  std::vector<Event> events;
  while (true) {
    SB_TRY(const bool more, rows.step());
    if (!more) return events;
    events.push_back(
        {.id = rows.integer(0), .at_ms = rows.integer(1), .kind = rows.text(2), .data = rows.text(3)});
  }
}

}  // namespace sb::audit
