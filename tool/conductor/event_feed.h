// EventFeed: what happens in the conductor, for whoever follows it (GET /events). Each event has an id; who
// was away says the last one that it has seen and gets all since, also those of a conductor before this one,
// as far as they are kept.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/event_log.h"
#include "base/json.h"
#include "http/server.h"
#include "os/event_loop.h"

namespace sb::tool {

class EventFeed {
 public:
  using Record = std::function<void(const audit::Event&)>;
  // What is published, and whoever follows, waits for go_on_from.
  EventFeed(os::Timers& timers, Record record);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // before: oldest first, of conductors before this one; unknown: ids go on from above all that there can
  // have been. Once.
  void go_on_from(const Result<std::vector<audit::Event>>& before);
  void publish(const std::string& kind, const Json& data);
  // Answers with a stream: all that is kept since the event `after`, and what comes from now on.
  void follow(const http::ExchangePtr& exchange, std::optional<std::int64_t> after);

 private:
  void keep_alive();
  void tell(audit::Event event);  // and give it its id

  os::Timers& timers_;
  Record record_;
  bool knows_before_ = false;
  std::vector<audit::Event> early_;
  std::vector<std::function<void()>> early_readers_;
  std::deque<audit::Event> kept_;  // newest last
  std::int64_t next_id_ = 1;
  std::uint64_t next_reader_ = 1;
  std::map<std::uint64_t, http::ExchangePtr> readers_;
  os::Watch heartbeat_;
};

}  // namespace sb::tool
