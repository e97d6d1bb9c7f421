// One event of a text/event-stream
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_head.h"

namespace sb::http {

// data may have several lines; kind has none.
[[nodiscard]] std::string event_text(std::int64_t id, std::string_view kind, std::string_view data);
// What the client has seen: Last-Event-ID. Nothing without it, or when it is no id of ours.
[[nodiscard]] std::optional<std::int64_t> last_event_id(const std::vector<Field>& fields);

}  // namespace sb::http
