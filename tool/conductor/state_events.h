// StateEvents: makes events of what changes: "service" with a ServiceStatus, "gone" with a name, "activation"
// with its step or null, and "log" with a line of the conductor's log. Compares with what was told last, so
// that nothing has to report its changes.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "os/event_loop.h"
#include "tool/conductor/event_feed.h"

namespace sb::tool {

class StateEvents {
 public:
  // state: conductor.status as it is now.
  StateEvents(os::Timers& timers, EventFeed& feed, std::function<Json()> state)
      : timers_(timers), feed_(feed), state_(std::move(state)) {}

  void said(const std::string& line);  // of the log: something has most likely changed
  void look_soon();                    // when the loop has done what it is at

 private:
  void look();

  os::Timers& timers_;
  EventFeed& feed_;
  std::function<Json()> state_;
  std::map<std::string, Json> services_;
  Json activation_;
  os::Watch soon_;
};

}  // namespace sb::tool
