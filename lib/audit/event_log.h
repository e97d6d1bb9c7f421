// EventLog: what happened last, so that who follows the conductor's events misses none while the conductor is
// started again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"

namespace sb::audit {

struct Event {
  std::int64_t id = 0;
  std::int64_t at_ms = 0;
  std::string kind;  // one word
  std::string data;  // JSON
};

class EventLog {
 public:
  static constexpr std::int64_t kKept = 2'000;

  explicit EventLog(sqlite::Database& database) : database_(database) {}
  // Inside of the caller's transaction; drops all but the newest kKept.
  [[nodiscard]] Status append(std::span<const Event> events);
  [[nodiscard]] Result<std::vector<Event>> all();  // oldest first

 private:
  sqlite::Database& database_;
};

}  // namespace sb::audit
