#include "tool/conductor/state_events.h"

#include <utility>

namespace sb::tool {

void StateEvents::said(const std::string& line) {
  feed_.publish("log", Json{{"text", line}});
  look_soon();
}

void StateEvents::look_soon() {
  if (soon_) return;
  soon_ = timers_.after(os::Milliseconds(0), [this] {
    soon_.reset();
    look();
  });
}

void StateEvents::look() {
  Json state = state_();
  std::map<std::string, Json> services;
  for (Json& service : state["services"]) {
    const std::string name = service.value("name", "");
    services.emplace(name, std::move(service));
  }
  const std::map<std::string, Json> before = std::exchange(services_, services);
  for (const auto& [name, service] : services) {
    const auto known = before.find(name);
    if (known == before.end() || known->second != service) feed_.publish("service", service);
  }
  for (const auto& [name, service] : before) {
    if (!services.contains(name)) feed_.publish("gone", Json{{"name", name}});
  }
  if (activation_ == state["activation"]) return;
  activation_ = state["activation"];
  feed_.publish("activation", activation_);
}

}  // namespace sb::tool
